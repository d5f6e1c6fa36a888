import type { MachineRequest } from "../../components/nodes/placement";
import type { ForeignMachine } from "../../config/facts";
import type { Bytes } from "../../config/units";
import { type Shape } from "./hosts";

export const GIB = 2 ** 30;
export const TWO_SOCKETS: Shape = { nodes: 2, coresPerNode: 8, threadsPerCore: 2, gibPerNode: 64 };

/** A machine of pool `web` for `web-0`, on any of three hosts. */
export function request(name: string, change: Partial<MachineRequest> = {}): MachineRequest {
  const [pool = name, index = "0"] = name.split("-");
  return {
    name,
    pool,
    index: Number(index),
    role: "worker",
    vcpus: 4,
    memory: (4 * GIB) as Bytes,
    hosts: ["a", "b", "c"],
    cpu: "dedicated",
    ...change,
  };
}

/** A machine of others. */
export function foreign(name: string, change: Partial<ForeignMachine>): ForeignMachine {
  const uuid = "0c6ef48b-5b3c-4a5e-9f0a-2f3a4b5c6d7e";
  return { name, uuid, vcpus: 4, cpus: [], floating: 0, memoryBytes: 0, nodes: [], ...change };
}
