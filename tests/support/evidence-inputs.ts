import { expect } from "chai";
import { evidenceKind } from "../../provider/evidence/kind";
import type { EvidenceInputs } from "../../provider/evidence/schema";
import { exampleHostKey } from "./hosts";
import { owner } from "./local-machine";

/** Owner of a machine whose faults are refused. */
export const production = { ...owner, environment: "production" };

/** An existing control plane with 2 vCPUs, as check gives it, changed by what a test is about. */
export function evidenceInputs(changes: Record<string, unknown> = {}): EvidenceInputs {
  const checked = evidenceKind.check({
    endpoint: { address: "192.0.2.1", hostKey: exampleHostKey() },
    owner,
    name: "m1",
    role: "control-plane",
    plan: "dedicated",
    vcpus: 2,
    hypervisors: ["kvm"],
    maxStealPercent: 1,
    maxFsyncMs: 10,
    directory: "/var/lib/etcd",
    windowSeconds: 1,
    fsyncSeconds: 1,
    ...changes,
  });
  expect(checked.failures).to.deep.equal([]);
  return checked.inputs;
}

/** fio's report, with what it also holds left out; latencies in milliseconds. */
export const fioReport = (p50: number, p99: number, count = 800): string =>
  JSON.stringify({
    "fio version": "fio-3.39",
    jobs: [{ sync: { lat_ns: { N: count, percentile: { "50.000000": p50 * 1e6, "99.000000": p99 * 1e6 } } } }],
  });
