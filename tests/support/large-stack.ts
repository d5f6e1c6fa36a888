import type { MachineRequest } from "../../components/nodes/placement";
import type { HostSpec } from "../../config/spec";
import type { Bytes } from "../../config/units";
import { hostOf } from "./hosts";

/** So many two-socket hosts, and machines of 8 vCPUs for them in ten pools; up to 14 a host fit. */
export function largeStack(
  hosts: number,
  machines: number,
): { readonly hosts: readonly HostSpec[]; readonly requests: readonly MachineRequest[] } {
  const shape = { nodes: 2, coresPerNode: 32, threadsPerCore: 2, gibPerNode: 256 };
  const names = Array.from({ length: hosts }, (_, i) => `host-${String(i).padStart(3, "0")}`);
  return {
    hosts: names.map((name) => hostOf(name, shape)),
    requests: Array.from({ length: machines }, (_, i): MachineRequest => {
      const pool = `p${i % 10}`;
      const index = Math.floor(i / 10);
      const memory = (16 * 2 ** 30) as Bytes;
      return {
        name: `${pool}-${index}`,
        pool,
        index,
        role: "worker",
        vcpus: 8,
        memory,
        hosts: names,
        cpu: "dedicated",
      };
    }),
  };
}
