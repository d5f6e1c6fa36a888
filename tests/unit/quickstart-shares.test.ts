import { expect } from "chai";
import { place, type MachineRequest } from "../../components/nodes/placement";
import { cpuSet, type Bytes } from "../../config/units";
import { parseCpus } from "../../provider/libvirt/cpulist";
import { CONTROL_VCPUS, shares } from "../../tools/quickstart/shares";
import { hostOf } from "../support/hosts";
import { GIB, request } from "../support/machine-requests";

/** Cores and threads a core of this computer, and what becomes of them where the control plane is a machine beside it. */
const EMULATED: readonly (readonly [cores: number, threads: number, housekeeping: string, worker: number])[] = [
  [1, 1, "none", 1],
  [1, 2, "none", 1], // two vCPUs of most clouds: one core
  [2, 1, "0", 1],
  [2, 2, "0,2", 1],
  [4, 1, "0", 1],
  [4, 2, "0,4", 3],
  [16, 2, "0,16", 4],
];

describe("what the quickstart's machines get of this computer", () => {
  const host = (cores: number, threads: number) =>
    hostOf("a", { nodes: 1, coresPerNode: cores, threadsPerCore: threads, gibPerNode: 8 });
  const fits = (cores: number, threads: number, carved: boolean): void => {
    const computer = host(cores, threads);
    const { housekeeping, workerVcpus } = shares(computer.facts, carved);
    const of = (name: string, vcpus: number, gib: number, role: MachineRequest["role"]) =>
      request(name, { vcpus, role, hosts: ["a"], memory: (gib * GIB) as Bytes });
    const machines = [
      of("w-0", workerVcpus, 2, "worker"),
      ...(carved ? [of("c-0", CONTROL_VCPUS, 4, "control-plane")] : []),
    ];
    const kept = housekeeping === "none" ? [] : parseCpus(housekeeping);
    expect(() => place([{ ...computer, housekeeping: cpuSet(kept) }], machines), `${cores}×${threads}`).not.to.throw();
  };

  for (const [cores, threads, housekeeping, workerVcpus] of EMULATED) {
    it(`of ${cores} cores with ${threads} threads: host ${housekeeping}, worker ${workerVcpus}`, () => {
      expect(shares(host(cores, threads).facts, false)).to.deep.equal({ housekeeping, workerVcpus });
    });
  }

  it("has a place for them on every computer: two cores, or three without hyper-threading, where both are carved", () => {
    for (let cores = 1; cores <= 20; cores++) {
      for (const threads of [1, 2]) {
        fits(cores, threads, false);
        if (cores >= (threads === 2 ? 2 : 3)) fits(cores, threads, true);
      }
    }
  });

  it("keeps a core that is there where CPU 0 is offline", () => {
    const facts = host(4, 1).facts;
    expect(shares({ cpus: facts.cpus.filter(({ cpu }) => cpu > 0) }, false).housekeeping).to.equal("1");
  });
});
