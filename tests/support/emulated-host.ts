import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { Endpoint } from "../../provider/transport/transport";
import { hostUp, siteDown } from "../../tools/site";

export interface EmulatedHost {
  readonly endpoint: Endpoint;
  readonly identityFile: string;
  stop(): Promise<void>;
}

/** Real sshd, libvirtd and QEMU in namespaces, with a data folder of its own beside any site that the user has. */
export async function emulatedHost(report: (line: string) => void): Promise<EmulatedHost> {
  const outer = process.env.KVMESH_DATA;
  const data = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-emulated-host-"));
  process.env.KVMESH_DATA = data;
  const restore = (): void => {
    if (outer === undefined) delete process.env.KVMESH_DATA;
    else process.env.KVMESH_DATA = outer;
  };
  const down = async (): Promise<void> => {
    await siteDown(report);
    restore();
    fs.rmSync(data, { recursive: true, force: true });
  };
  try {
    const { host, identityFile } = await hostUp(report, { yes: true });
    const { address, port, user, hostKey } = host;
    return { endpoint: { address, port, user, hostKey }, identityFile, stop: down };
  } catch (error) {
    await down();
    throw error;
  }
}
