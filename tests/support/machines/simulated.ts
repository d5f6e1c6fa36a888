import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { BRIDGE, loginFiles, plugIn } from "../../../tools/site/machines";
import { startMachine } from "../../../tools/site/namespaces";
import { siteDir } from "../../../tools/site/paths";
import { ensureRoot, hostRecipe, once } from "../../../tools/site/roots";
import { siteNetwork } from "../../../tools/site/network";
import { cacheDir, checkoutRoot, ensureTools, type Report } from "../../../tools/toolchain";
import { goBuild } from "../../../tools/toolchain/build";
import { platform } from "../../../tools/toolchain/ensure";
import { findGo } from "../../../tools/toolchain/go";
import type { Starter } from "./index";

const MODULE = "tests/support/simulated-node";

/** kubeadm, kubelet and API server that are simulated around a real etcd: see simulated-node/main.go. Built once, in seconds. */
export async function simulatedNode(report: Report): Promise<string> {
  const hash = createHash("sha256");
  for (const file of fs.readdirSync(path.join(checkoutRoot(), MODULE)).sort())
    hash.update(fs.readFileSync(path.join(checkoutRoot(), MODULE, file)));
  const target = path.join(cacheDir(), "tests", `simulated-node-${hash.digest("hex").slice(0, 16)}`);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  return once(target, report, async (partial) => {
    const go = await findGo(platform(), report, MODULE);
    const tool = { name: "simulated-node", build: { module: MODULE, package: "." }, target: partial };
    await goBuild("the simulated node", [tool], go, `${target}.log`);
  });
}

/** A starter of machines with everything simulated but etcd, kubectl, the shell and its tools. */
export async function simulatedMachine(report: Report): Promise<Starter> {
  const root = await ensureRoot(hostRecipe, report);
  const { etcd, kubectl } = await ensureTools(["etcd", "kubectl"], report);
  const node = await simulatedNode(report);
  const programs = { etcd, kubectl, kubeadm: node, kubelet: node, "simulated-node": node };
  return async ({ name, address, cgroup, etcdDisk }, network, subnet, record) => {
    const dir = path.join(siteDir(), name);
    for (const [program, file] of Object.entries(programs)) share(file, path.join(dir, "upper/usr/local/bin", program));
    const keep = { kubelet: "/var/lib/kubelet", log: "/var/log" };
    const machine = await startMachine(
      {
        name,
        dir,
        lower: root,
        init: path.join(checkoutRoot(), MODULE, "init.sh"),
        keep: etcdDisk ? { ...keep, etcd: "/var/lib/etcd" } : keep,
        devices: [],
        cgroup,
        files: {
          hostname: `${name}\n`,
          address: `${address}\n`,
          nameservers: siteNetwork(subnet, BRIDGE).nameservers.join("\n"),
          ...(await loginFiles(name)),
        },
      },
      record,
    );
    await plugIn(machine, { name, address }, network, subnet);
    return machine;
  };
}

/** One file in many machines: a link where that can be, since nobody writes to it. */
function share(file: string, to: string): void {
  if (fs.existsSync(to)) return;
  fs.mkdirSync(path.dirname(to), { recursive: true });
  try {
    fs.linkSync(file, to);
  } catch {
    fs.copyFileSync(file, to);
  }
  fs.chmodSync(to, 0o755);
}
