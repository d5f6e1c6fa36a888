import * as fs from "node:fs";
import * as path from "node:path";

const KIB = 1024;

/** What a simulated host is made of: one socket, one NUMA node, no SMT. */
export interface Hardware {
  readonly cpus: number;
  readonly memoryBytes: number;
}

/** Writes what scripts read below /proc and /sys, and gives the tools that read more of it. */
export function installHardware(root: string, { cpus, memoryBytes }: Hardware): Readonly<Record<string, string>> {
  const write = (file: string, text: string): void => {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), text);
  };
  for (let cpu = 0; cpu < cpus; cpu++) {
    const topology = `sys/devices/system/cpu/cpu${cpu}/topology`;
    write(`${topology}/thread_siblings_list`, `${cpu}\n`);
    write(`${topology}/core_id`, `${cpu}\n`);
    write(`${topology}/physical_package_id`, "0\n");
  }
  const kib = Math.floor(memoryBytes / KIB);
  const free = Math.floor(kib * 0.9);
  write("proc/stat", "cpu  1000 0 500 100000 0 0 0 0 0 0\n");
  write(
    "proc/meminfo",
    `MemTotal: ${kib} kB\nMemFree: ${free} kB\nMemAvailable: ${free} kB\nHugePages_Total: 0\nHugepagesize: 2048 kB\n`,
  );
  const node = "sys/devices/system/node/node0";
  write(
    `${node}/meminfo`,
    [`MemTotal: ${kib} kB`, `MemFree: ${free} kB`, "FilePages: 0 kB", "Shmem: 0 kB", "SReclaimable: 0 kB"]
      .map((line) => `Node 0 ${line}\n`)
      .join(""),
  );
  for (const file of ["nr_hugepages", "free_hugepages"]) write(`${node}/hugepages/hugepages-2048kB/${file}`, "0\n");
  const table = Array.from({ length: cpus }, (_, cpu) => `${cpu},${cpu},0,0`).join("\\n");
  return {
    lscpu: `#!/bin/sh\ncase "$*" in -p*) printf '# CPU,Core,Socket,Node\\n${table}\\n' ;; *) echo 'Model name: Simulated' ;; esac\n`,
    "systemd-detect-virt": "#!/bin/sh\necho none\n",
    // Time passes for its CPUs as well.
    sleep: `#!/bin/sh\necho "cpu  1000 0 500 $(($(date +%s) * 100)) 0 0 0 0 0 0" >${root}/proc/stat\nexec /bin/sleep "$@"\n`,
  };
}
