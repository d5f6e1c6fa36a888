import { ofType, stackPolicy, type Finding, type Held, type Judged, type StackJudge } from "./frame";
import { at, isUnknownError, list, number, text, texts } from "./read";
import type { EvidenceRef } from "./verdict";

/**
 * Rules on what was measured. Evidence is known only after `up`: in a preview that will measure, its record is not known yet, and the
 * engine says that it can't run the policy, for this reason.
 */
const NOT_YET = "the machines are not measured yet; `pulumi up` measures them and judges this then";

function onEvidence(judge: StackJudge): StackJudge {
  return function* (resources, context) {
    try {
      yield* judge(resources, context);
    } catch (error) {
      // The SDK's own words name the property that is not known.
      if (isUnknownError(error)) error.message = NOT_YET;
      throw error;
    }
  };
}

const EVIDENCE = "kvmesh:index:Evidence";
const NODE = "kvmesh:index:ClusterNode";

export const nodeLiveDedication = stackPolicy(
  "node-live-dedication",
  onEvidence(function* (resources, context) {
    const machines = ofType(resources, "kvmesh:index:Machine");
    if (machines.length === 0) context.notApplicable("the stack has no machine");
    const evidence = evidenceByName(resources);
    for (const machine of machines) {
      const subject = `machine ${nameOf(machine)}`;
      const proof = evidence.get(nameOf(machine));
      if (proof === undefined) {
        yield { subject, urn: machine.urn, found: "no evidence", required: "a measurement of its dedication" };
        continue;
      }
      const findings = [...contradictions(proof, context.now)];
      for (const finding of findings)
        yield { subject, urn: proof.urn, evidence: refOf(proof, finding.found), ...finding };
      if (findings.length === 0) yield held(subject, proof, "pins, affinities and steal as declared");
    }
  }),
);

/** What of the last evidence is too old, or not as declared. */
function* contradictions(proof: Judged, now: Date): Iterable<Pick<Finding, "found" | "required">> {
  for (const seen of texts(at(proof.props, "contradictions")))
    yield { found: `by a refresh: ${seen}`, required: "what the evidence says" };
  const taken = text(at(proof.props, "takenAt")) ?? "";
  const days = (now.getTime() - Date.parse(taken)) / 86_400_000;
  const most = (number(at(proof.props, "maxAgeSeconds")) ?? 0) / 86_400;
  // Without a date it is no evidence.
  if (!(days <= most))
    yield { found: `evidence of ${taken || "no date"}`, required: `at most ${Math.round(most * 10) / 10} days old` };
  for (const value of valuesOf(proof)) {
    if (text(at(value, "verdict")) !== "fail") continue;
    yield {
      found: `${String(at(value, "what"))}: ${String(at(value, "measured"))}`,
      required: String(at(value, "limit")),
    };
  }
}

/** The record that a verdict rests on. */
function refOf(proof: Judged, what: string): EvidenceRef {
  return {
    what,
    on: `machine ${nameOf(proof)}`,
    takenAt: text(at(proof.props, "takenAt")) ?? "no date",
    digest: text(at(proof.props, "digest")) ?? "no digest",
  };
}

function held(subject: string, proof: Judged, what: string): Held {
  return { subject, held: refOf(proof, what), urn: proof.urn };
}

/** Too old evidence is none, whatever it says: no pass, and no failure either. That it is due is node-live-dedication's. */
function tooOld(proof: Judged, now: Date): string | undefined {
  const taken = text(at(proof.props, "takenAt"));
  const most = number(at(proof.props, "maxAgeSeconds"));
  if (taken === undefined || most === undefined) return undefined;
  const age = (now.getTime() - Date.parse(taken)) / 1000;
  if (age <= most) return undefined;
  const days = (seconds: number): number => Math.floor(seconds / 86_400);
  const old = Number.isNaN(age) ? `dated "${taken}"` : `${days(age)} days old`;
  return `the evidence is ${old}; it may be ${days(most)} days old: \`pulumi up\` measures again`;
}

export const etcdFsync = stackPolicy(
  "etcd-fsync",
  onEvidence(function* (resources, context) {
    const most = number(at(context.settings, "maxMs")) ?? 10;
    for (const { subject, proof } of planes(resources, () => context.notApplicable("the stack has no control plane"))) {
      const value = proof && fsyncOf(proof);
      const measured = number(at(value, "measured"));
      const required = `fdatasync, 99th percentile, at most ${most} ms`;
      const old = proof && tooOld(proof, context.now);
      const words = measured === undefined ? (text(at(value, "note")) ?? "no measurement") : `${measured} ms`;
      if (proof === undefined) yield { subject, found: words, required };
      else if (old !== undefined) yield { subject, urn: proof.urn, unseen: old };
      else if (measured !== undefined && measured <= most)
        yield held(subject, proof, `fdatasync, 99th percentile: ${measured} ms`);
      else yield { subject, urn: proof.urn, found: words, required, evidence: refOf(proof, words) };
    }
  }),
  {
    settings: {
      maxMs: { type: "number", default: 10, description: "Most that the 99th percentile of fdatasync may be, in ms." },
    },
  },
);

/** A host shows what is under its machines' disks, and bare metal shows its own. A rented machine's virtual disk shows nothing: its latency speaks for it. */
export const etcdLocalNvme = stackPolicy(
  "etcd-local-nvme",
  onEvidence(function* (resources, context) {
    const most = number(at(context.settings, "maxMs")) ?? 10;
    for (const { subject, proof } of planes(resources, () => context.notApplicable("the stack has no control plane"))) {
      if (proof === undefined) {
        yield { subject, found: "no measurement", required: NVME };
        continue;
      }
      const plan = text(at(proof.props, "plan")) ?? "none";
      const rented = at(proof.props, "host") === undefined && plan !== "metal";
      const finding = rented ? ofRented(proof, plan, most) : ofVisible(proof);
      if (finding === undefined) yield held(subject, proof, `disk ${insideDisk(proof) ?? "of the host"}`);
      else yield { subject, urn: proof.urn, ...finding, evidence: refOf(proof, finding.found) };
    }
  }),
  {
    settings: {
      maxMs: {
        type: "number",
        default: 10,
        description: "Most that fdatasync's 99th percentile may be on a rented machine whose disk is virtual, in ms.",
      },
    },
  },
);

type Verdict = Pick<Finding, "found" | "required"> | undefined;

const NVME = "disk nvme, cache none";

/** Of a carved machine the host knows the disk, not the machine. */
function ofVisible(proof: Judged): Verdict {
  const disk = text(valueOf(proof, "host-disk")) ?? insideDisk(proof);
  const cache = text(valueOf(proof, "host-cache")) ?? "none";
  if (disk === "nvme" && cache === "none") return undefined;
  return { found: disk === undefined ? "no measurement" : `disk ${disk}, cache ${cache}`, required: NVME };
}

function ofRented(proof: Judged, plan: string, most: number): Verdict {
  const disk = insideDisk(proof);
  if (disk === "nvme") return undefined;
  const required = `disk nvme; or plan dedicated, and fdatasync's 99th percentile at most ${most} ms`;
  const value = fsyncOf(proof);
  const measured = number(at(value, "measured"));
  const latency = measured === undefined ? (text(at(value, "note")) ?? "fdatasync not measured") : `${measured} ms`;
  if (plan === "dedicated" && measured !== undefined && measured <= most) return undefined;
  return { found: `plan ${plan}, disk ${disk ?? "not seen"}, ${latency}`, required };
}

/** "nvme", "sata, rotating": after the device's name. */
function insideDisk(proof: Judged): string | undefined {
  return text(valueOf(proof, "disk"))?.split(", ").slice(1).join(", ");
}

function fsyncOf(proof: Judged): unknown {
  return valuesOf(proof).find((value) => (text(at(value, "id")) ?? "").startsWith("fsync-p99-"));
}

function valueOf(proof: Judged, id: string): unknown {
  return at(
    valuesOf(proof).find((value) => text(at(value, "id")) === id),
    "measured",
  );
}

interface Plane {
  readonly subject: string;
  readonly proof: Judged | undefined;
}

/** Every control plane with its evidence. */
function planes(resources: readonly Judged[], none: () => never): readonly Plane[] {
  const evidence = evidenceByName(resources);
  const found = ofType(resources, NODE).filter(({ props }) => text(at(props, "role")) === "control-plane");
  if (found.length === 0) none();
  return found.map((plane) => ({ subject: `control plane ${nameOf(plane)}`, proof: evidence.get(nameOf(plane)) }));
}

function evidenceByName(resources: readonly Judged[]): ReadonlyMap<string, Judged> {
  return new Map(ofType(resources, EVIDENCE).map((proof) => [nameOf(proof), proof]));
}

function nameOf({ props, name }: Judged): string {
  return text(at(props, "name")) ?? name;
}

function valuesOf({ props }: Judged): readonly unknown[] {
  return list(at(props, "record", "values"));
}
