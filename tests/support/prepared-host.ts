import * as fs from "node:fs";
import * as path from "node:path";
import type { HostSpec, PreparationSpec } from "../../config/spec";
import { parseBytes, type Milliseconds } from "../../config/units";
import { quote } from "../../provider/core/quote";
import { SshTransport } from "../../provider/transport/ssh";
import { hostOf } from "./hosts";
import { RealSshd } from "./real-sshd";

export const PAGES = "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages";
export const SWAPPINESS = "/proc/sys/vm/swappiness";
export const BOOT_ID = "/proc/sys/kernel/random/boot_id";
export const OWNER = { project: "p", stack: "s", cluster: "c", environment: "development" } as const;
/** Room for a busy machine. */
export const TIMEOUTS = { connect: 30_000 as Milliseconds };

/** A host to prepare: one NUMA node, the first of its four cores the host's own. */
export function preparedHost(
  server: RealSshd,
  prepare: Partial<PreparationSpec>,
  change: Partial<HostSpec> = {},
): HostSpec {
  return hostOf(
    "a",
    { nodes: 1, coresPerNode: 4, threadsPerCore: 1, gibPerNode: 8 },
    {
      endpoint: server.endpoint(),
      prepare: { packages: false, isolateCpus: false, sysctl: {}, reboot: "never", ...prepare },
      ...change,
    },
  );
}

/** A real sshd whose /proc/sys and /sys have what scripts of preparation set. */
export async function startHost(options?: Parameters<typeof RealSshd.start>[0]): Promise<RealSshd> {
  const server = await RealSshd.start(options);
  await write(server, SWAPPINESS, "60\n");
  await write(server, PAGES, "0\n");
  await write(server, BOOT_ID, "first\n");
  return server;
}

/** On the server itself: an overlay does not see what is put into its upper folder from outside. */
export function write(server: RealSshd, name: string, text: string, mode = 0o644): Promise<void> {
  return on(
    server,
    `mkdir -p ${path.dirname(name)}; printf %s ${quote(text)} >${name}; chmod ${mode.toString(8)} ${name}`,
  );
}

/** What a test sets up there. */
export async function on(server: RealSshd, script: string): Promise<void> {
  const transport = new SshTransport({ identityFile: server.identityFile, connectTimeoutSeconds: 30, attempts: 1 });
  try {
    const { code, stderr } = await transport.script(server.endpoint(), script);
    if (code !== 0) throw new Error(stderr);
  } finally {
    transport.close();
  }
}

/** undefined: it is not there, or was removed. */
export function read(server: RealSshd, name: string): string | undefined {
  const file = server.path(name);
  // What an overlay's upper folder has in the place of a removed file is a device.
  return fs.existsSync(file) && fs.statSync(file).isFile() ? fs.readFileSync(file, "utf8").trim() : undefined;
}

export const pages = (count: number) => ({ size: parseBytes("2MiB"), count });
