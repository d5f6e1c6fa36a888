/** What the benchmarks of hosts share: a host that is thrown away afterwards, machines on it, and how many connections and sessions were used. */
import * as ssh2 from "ssh2";
import type { Owner } from "../provider/core/check";
import { domainKind } from "../provider/domain/domain";
import type { DomainInputs } from "../provider/domain/schema";
import { SshTransport } from "../provider/transport/ssh";
import type { Endpoint } from "../provider/transport/transport";
import type { VolumeInputs } from "../provider/volume/schema";
import { volumeKind } from "../provider/volume/volume";
import { emulatedHost } from "../tests/support/emulated-host";
import { SimulatedHost } from "../tests/support/simulated-host";

export const MIB = 1024 * 1024;
export const owner: Owner = { project: "bench", stack: "bench", cluster: "bench", environment: "development" };
export const storage = "/var/lib/kvmesh-bench";

export interface BenchHost {
  readonly endpoint: Endpoint;
  readonly identityFile: string;
  stop(): Promise<void>;
}

/** "simulated": no libvirt, only the cost of our own; "emulated": real sshd, libvirtd and QEMU, which needs root. */
export async function benchHost(kind: string): Promise<BenchHost> {
  if (kind === "emulated") return emulatedHost((line) => void process.stderr.write(`${line}\n`));
  const host = await SimulatedHost.start();
  return { endpoint: host.endpoint, identityFile: host.identityFile, stop: () => host.stop() };
}

export function transportTo({ identityFile }: BenchHost): SshTransport {
  return new SshTransport({ identityFile, connectTimeoutSeconds: 10, attempts: 2 });
}

export async function shell(transport: SshTransport, at: Endpoint, script: string): Promise<string> {
  const { code, stdout, stderr } = await transport.script(at, script, { timeoutMs: 300_000 });
  if (code !== 0) throw new Error(`a script on the host ended with ${code}: ${stderr}`);
  return stdout;
}

/** A disk of 1 GiB, over an image when one is given. */
export function volumeInputs(host: Endpoint, machine: string, base?: string): VolumeInputs {
  return volumeKind.check({
    ...{ host, owner, storage, name: `${machine}.qcow2`, capacityBytes: 1024 * MIB, format: "qcow2" },
    ...(base === undefined ? {} : { base, baseFormat: "raw" }),
  }).inputs;
}

/** One vCPU and 64 MiB, with a seed as every machine of a pool has. What it boots from holds no system. */
export function domainInputs(host: Endpoint, name: string, vcpuPins: readonly number[]): DomainInputs {
  return domainKind.check({
    ...{ host, owner, name, storage, type: "qemu", vcpus: 1, vcpuPins, emulatorPin: [0], ioThreadPin: [0] },
    memoryBytes: 64 * MIB,
    disks: [{ type: "file", path: `${storage}/${name}.qcow2`, format: "qcow2", target: "vda" }],
    interfaces: [],
    cloudInit: { userData: "#cloud-config\n", metaData: `instance-id: ${name}\n`, networkConfig: "version: 2\n" },
    autostart: false,
  }).inputs;
}

export interface SshUse {
  connections: number;
  sessions: number;
  /** The most at one time. */
  sessionsAtOnce: number;
}

/** Counts what this process opens from now on. */
export function countSsh(): SshUse {
  const use: SshUse = { connections: 0, sessions: 0, sessionsAtOnce: 0 };
  const connect = Reflect.get(ssh2.Client.prototype, "connect");
  const exec = Reflect.get(ssh2.Client.prototype, "exec");
  let open = 0;
  ssh2.Client.prototype.connect = function (this: ssh2.Client, config) {
    use.connections++;
    return connect.call(this, config);
  };
  ssh2.Client.prototype.exec = function (this: ssh2.Client, command: string, done: ssh2.ClientCallback) {
    use.sessions++;
    use.sessionsAtOnce = Math.max(use.sessionsAtOnce, ++open);
    return exec.call(this, command, (error, channel) => {
      if (error) open--;
      else channel.on("close", () => open--);
      done(error, channel);
    });
  } as ssh2.Client["exec"];
  return use;
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - started) / 1e9;
}
