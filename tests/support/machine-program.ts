import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import type { SimulatedHost } from "./simulated-host";

/** Stands in the machine's user-data: it must be found on the host, and nowhere else. */
export const SECRET = "the-word-that-must-not-be-seen";

export interface MachineChange {
  readonly pins?: string;
  readonly memory?: string;
  readonly stack?: string;
  readonly name?: string;
  readonly hostKey?: string;
  /** The stack's tenancy on the host in place of the lease: the machine shares the host's CPUs. */
  readonly shared?: boolean;
}

/** One machine on two cores with its lease and its host key, as the node components declare it. */
export function machineProgram(host: SimulatedHost, change: MachineChange = {}): string {
  const pins = change.shared ? "[]" : (change.pins ?? "[2, 3]");
  const name = change.name ?? "web-0";
  const endpoint = { ...host.endpoint, ...(change.hostKey ? { hostKey: change.hostKey } : {}) };
  return `
    const host = ${JSON.stringify(endpoint)};
    const owner = { project: "test", stack: "${change.stack ?? "test"}", cluster: "test", environment: "development" };
    const opts = { customTimeouts: { delete: "20s" } };
    const key = new kvmesh.HostKey("key");
    const lease = ${
      change.shared
        ? `new kvmesh.Tenancy("host", { host, owner, storage: "/var/lib/kvmesh", machines: ["${name}"] })`
        : `new kvmesh.CoreLease("lease", { host, owner, machine: "${name}", cpus: ${pins} })`
    };
    const machine = new kvmesh.Domain("${name}", {
      host, owner, name: "${name}", type: "qemu", vcpus: 2, vcpuPins: ${pins}, emulatorPin: [0], ioThreadPin: [0],
      memoryBytes: ${change.memory ?? "512 * 1024 * 1024"},
      disks: [{ type: "file", path: "/var/lib/kvmesh/web-0.qcow2", format: "qcow2", target: "vda" }],
      interfaces: [{ type: "bridge", bridge: "br0", mac: "52:54:00:00:00:11" }],
      cloudInit: {
        userData: pulumi.secret("#cloud-config\\npassword: ${SECRET}\\n"),
        metaData: "instance-id: web-0\\n",
        networkConfig: "version: 2\\n",
      },
      storage: "/var/lib/kvmesh",
    }, { dependsOn: [lease], ...opts });
    exports.uuid = machine.uuid;
    exports.running = machine.running;`;
}

/** Program text that declares `host`, `owner`, `storage` and an `image` of this content, which is a file of this computer. */
export function imageProgram(host: SimulatedHost, content: string): string {
  const file = path.join(host.root, `${content}.raw`);
  fs.writeFileSync(file, content.padEnd(512));
  const digest = `sha256:${createHash("sha256").update(fs.readFileSync(file)).digest("hex")}`;
  return `
    const host = ${JSON.stringify(host.endpoint)};
    const owner = { project: "test", stack: "test", cluster: "test", environment: "development" };
    const storage = "/var/lib/kvmesh";
    const image = new kvmesh.Image("image", { host, owner, name: "base.raw", storage, file: ${JSON.stringify(file)}, digest: "${digest}", format: "raw" });`;
}
