import type { HostFacts } from "../../config/facts";
import { UserError } from "../../provider/core/kind";
import type { Endpoint, Transport } from "../../provider/transport/transport";
import type { Warn } from "./hardware";
import { factsFromProbe } from "./parse";
import { probeScript } from "./script";

/** Asks a host what it is: one SSH session, about 3 s, nothing on the host is changed. `warn`: see Asked. */
export async function probeHost(at: Endpoint, storage: string, transport: Transport, warn?: Warn): Promise<HostFacts> {
  const { code, stdout, stderr } = await transport.script(at, probeScript(storage), { timeoutMs: 120_000 });
  if (code !== 0) {
    throw new UserError(`host ${at.address}: the probe ended with ${code}: ${stderr.trim().split("\n").at(-1) ?? ""}`);
  }
  return factsFromProbe(at.address, stdout, { storage, now: new Date(), warn });
}

export { changedFacts, formatFacts } from "./file";
export { factsFromProbe } from "./parse";
