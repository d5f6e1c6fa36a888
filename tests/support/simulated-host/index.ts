/**
 * A KVM host without KVM: an SSH server that runs our real scripts with the real shell in a folder of its own, with a libvirt that
 * keeps its machines in files. Needs no root. Kept honest by the contract tests, which also run on a real libvirt.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { ed25519KeyPair } from "../../../provider/hostkey/key-pair";
import type { Endpoint } from "../../../provider/transport/transport";
import { addDevice, sign } from "./devices";
import type { SimulatedDevice } from "./devices";
import { installHardware } from "./hardware";
import { addVolumeGroup, lvm } from "./lvm";
import { SshServer } from "./ssh-server";
import type { SshServerOptions } from "./ssh-server";
import { qemuImg } from "./qemu-img";
import { ToolServer } from "./tool-server";
import { isoinfo } from "./seed";
import { showLibvirtd } from "./threads";
import { installTools } from "./tools";
import { virsh } from "./virsh";

export interface SimulatedHostOptions {
  /** Logical CPUs; default 8. */
  readonly cpus?: number;
  /** Default 64 GiB. */
  readonly memoryBytes?: number;
  /** Further commands of the host: name → text of an executable file. */
  readonly commands?: Readonly<Record<string, string>>;
  readonly server?: SshServerOptions;
  /** Private key that may log in, such as another host's; default: one of its own. */
  readonly identityFile?: string;
}

const LVM = ["lvs", "lvcreate", "lvchange", "lvextend", "lvremove"];

interface Gate {
  /** `virsh start` waits for it. */
  start?: Promise<void>;
}

export class SimulatedHost {
  private constructor(
    /** Where the host's own / is. */
    readonly root: string,
    readonly server: SshServer,
    private readonly toolServer: ToolServer,
    private readonly gate: Gate,
    readonly hostKey: string,
    /** Private key that may log in. */
    readonly identityFile: string,
  ) {}

  static async start(options: SimulatedHostOptions = {}): Promise<SimulatedHost> {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-host-"));
    const host = await ed25519KeyPair();
    const identityFile = options.identityFile ?? path.join(root, "id_ed25519");
    if (options.identityFile === undefined)
      fs.writeFileSync(identityFile, (await ed25519KeyPair()).private, { mode: 0o600 });
    for (const folder of ["run/lock", "run/libvirt/qemu", "var/lib", "proc", "tmp", "libvirt"]) {
      fs.mkdirSync(path.join(root, folder), { recursive: true });
    }
    const hardware = { cpus: options.cpus ?? 8, memoryBytes: options.memoryBytes ?? 64 * 2 ** 30 };
    const tools = installHardware(root, hardware);
    showLibvirtd(root);
    const gate: Gate = {};
    const toolServer = new ToolServer({
      virsh: async (args) => {
        if (args.includes("start")) await gate.start;
        return virsh(root, args);
      },
      "qemu-img": qemuImg,
      isoinfo,
      ...Object.fromEntries(LVM.map((name) => [name, (args: readonly string[]) => lvm(root, name, args)])),
    });
    await toolServer.listen();
    const stubs = Object.fromEntries(LVM.map((name) => [name, toolServer.stub(name)]));
    installTools(root, toolServer, { ...tools, ...stubs, ...options.commands });
    const server = new SshServer(root, host.private, fs.readFileSync(identityFile), options.server ?? {});
    await server.listen();
    return new SimulatedHost(root, server, toolServer, gate, host.public.split(" ", 2).join(" "), identityFile);
  }

  get endpoint(): Endpoint {
    return { address: "127.0.0.1", port: this.server.port, user: "root", hostKey: this.hostKey };
  }

  /** From now on `virsh start` hangs, until the returned function is called. */
  holdStarts(): () => void {
    let release = (): void => undefined;
    this.gate.start = new Promise((resolve) => (release = resolve));
    return release;
  }

  addDevice(device: SimulatedDevice): void {
    addDevice(this.root, device);
  }

  /** An empty volume group of LVM. */
  addVolumeGroup(name: string): void {
    addVolumeGroup(this.root, name);
  }

  /** Puts a signature on a device, as `mkfs` does; empty: takes it away. */
  sign(device: string, signature: string): void {
    sign(this.root, device, signature);
  }

  /** A path of the host as a path of this machine. */
  path(hostPath: string): string {
    return path.join(this.root, hostPath);
  }

  read(hostPath: string): string {
    return fs.readFileSync(this.path(hostPath), "utf8").split(this.root).join("");
  }

  exists(hostPath: string): boolean {
    return fs.existsSync(this.path(hostPath));
  }

  /** Writes a file as someone else on the host would. */
  write(hostPath: string, content: string): void {
    fs.mkdirSync(path.dirname(this.path(hostPath)), { recursive: true });
    fs.writeFileSync(this.path(hostPath), content);
  }

  /** Runs a shell script on the host directly, as its own administrator would. */
  shell(script: string): Promise<{ code: number; stdout: string; stderr: string }> {
    return this.server.run(script);
  }

  async stop(): Promise<void> {
    await this.server.close();
    this.toolServer.close();
    fs.rmSync(this.root, { recursive: true, force: true });
  }
}
