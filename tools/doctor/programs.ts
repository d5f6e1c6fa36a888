import * as fs from "node:fs";

/** Servers that people fear the quickstart to meet, by the names of their processes. */
const known: Readonly<Record<string, string>> = {
  kubelet: "kubelet",
  containerd: "containerd",
  dockerd: "Docker",
  libvirtd: "libvirt",
  virtqemud: "libvirt",
  "qemu-system-x86": "QEMU machines",
};

/** Those that run on this computer itself; what runs in a site's own namespaces is not meant. */
export function runningServers(proc = "/proc"): readonly string[] {
  const own = namespaceOf(`${proc}/self`);
  const names = fs.readdirSync(proc).flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    const name = known[nameOf(`${proc}/${pid}`)];
    return name !== undefined && namespaceOf(`${proc}/${pid}`) === own ? [name] : [];
  });
  return [...new Set(names)].sort();
}

function nameOf(dir: string): string {
  try {
    return fs.readFileSync(`${dir}/comm`, "utf8").trim();
  } catch {
    return ""; // it has just ended
  }
}

function namespaceOf(dir: string): string | undefined {
  try {
    return fs.readlinkSync(`${dir}/ns/pid`);
  } catch {
    return undefined;
  }
}
