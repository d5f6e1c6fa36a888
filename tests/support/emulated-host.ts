import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { Endpoint } from "../../provider/transport/transport";
import { hostUp, siteDown, type HostOnly } from "../../tools/site";
import type { Report } from "../../tools/site/types";
import { guard } from "./guard";

export interface EmulatedHost extends HostOnly {
  readonly endpoint: Endpoint;
  /** Its data folder. */
  readonly data: string;
  stop(): Promise<void>;
}

const SITE = path.resolve(__dirname, "../../tools/site/cli.js");

/** Real sshd, libvirtd and QEMU in namespaces, with a data folder of its own beside any site that the user has; it ends with this process. */
export async function emulatedHost(report: Report): Promise<EmulatedHost> {
  const outer = process.env.KVMESH_DATA;
  const data = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-emulated-host-"));
  process.env.KVMESH_DATA = data;
  const down = guard('"$NODE" "$SITE" down && rm -rf -- "$KVMESH_DATA"', {
    NODE: process.execPath,
    SITE,
    KVMESH_DATA: data,
  });
  const stop = async (): Promise<void> => {
    await siteDown(report);
    if (outer === undefined) delete process.env.KVMESH_DATA;
    else process.env.KVMESH_DATA = outer;
    fs.rmSync(data, { recursive: true, force: true });
    down();
  };
  try {
    const site = await hostUp(report, { yes: true });
    const { address, port, user, hostKey } = site.host;
    return { ...site, endpoint: { address, port, user, hostKey }, data, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
