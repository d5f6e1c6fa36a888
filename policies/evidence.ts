import { ofType, stackPolicy, type Judged } from "./frame";
import { at, list, number, text, texts } from "./read";

/**
 * Rules on what was measured. Evidence is known only after `up`: in a preview that will measure, its record is not known yet, and the
 * engine says "not evaluated".
 */
const EVIDENCE = "kvmesh:index:Evidence";
const CONTROL_PLANE = "kvmesh:index:ControlPlane";
const MEMBER = "kvmesh:index:Member";

export const nodeLiveDedication = stackPolicy("node-live-dedication", function* (resources, context) {
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
    const found = (text: string, required: string) => ({ subject, urn: proof.urn, found: text, required });
    for (const seen of texts(at(proof.props, "contradictions"))) {
      yield found(`by a refresh: ${seen}`, "what the evidence says");
    }
    const taken = text(at(proof.props, "takenAt")) ?? "";
    const days = (Date.now() - Date.parse(taken)) / 86_400_000;
    const most = (number(at(proof.props, "maxAgeSeconds")) ?? 0) / 86_400;
    // Without a date it is no evidence.
    if (!(days <= most))
      yield found(`evidence of ${taken || "no date"}`, `at most ${Math.round(most * 10) / 10} days old`);
    for (const value of valuesOf(proof)) {
      if (text(at(value, "verdict")) !== "fail") continue;
      yield found(`${String(at(value, "what"))}: ${String(at(value, "measured"))}`, String(at(value, "limit")));
    }
  }
});

export const etcdFsync = stackPolicy(
  "etcd-fsync",
  function* (resources, context) {
    const most = number(at(context.settings, "maxMs")) ?? 10;
    for (const { subject, proof } of planes(resources, () => context.notApplicable("the stack has no control plane"))) {
      const value = proof && valuesOf(proof).find((one) => (text(at(one, "id")) ?? "").startsWith("fsync-p99-"));
      const measured = number(at(value, "measured"));
      if (measured !== undefined && measured <= most) continue;
      yield {
        subject,
        ...(proof && { urn: proof.urn }),
        found: measured === undefined ? (text(at(value, "note")) ?? "no measurement") : `${measured} ms`,
        required: `fdatasync, 99th percentile, at most ${most} ms`,
      };
    }
  },
  {
    settings: {
      maxMs: { type: "number", default: 10, description: "Most that the 99th percentile of fdatasync may be, in ms." },
    },
  },
);

export const etcdLocalNvme = stackPolicy("etcd-local-nvme", function* (resources, context) {
  for (const { subject, proof } of planes(resources, () => context.notApplicable("the stack has no control plane"))) {
    const measured = (id: string): string | undefined =>
      proof &&
      text(
        at(
          valuesOf(proof).find((value) => text(at(value, "id")) === id),
          "measured",
        ),
      );
    // What is under a carved machine's disk, the host knows; an existing machine has only its own view.
    const disk = measured("host-disk") ?? measured("disk")?.split(", ").slice(1).join(", ");
    const cache = measured("host-cache") ?? "none";
    if (disk === "nvme" && cache === "none") continue;
    yield {
      subject,
      ...(proof && { urn: proof.urn }),
      found: disk === undefined ? "no measurement" : `disk ${disk}, cache ${cache}`,
      required: "disk nvme, cache none",
    };
  }
});

interface Plane {
  readonly subject: string;
  readonly proof: Judged | undefined;
}

/** Every control plane with its evidence. */
function planes(resources: readonly Judged[], none: () => never): readonly Plane[] {
  const evidence = evidenceByName(resources);
  const found = [
    ...ofType(resources, CONTROL_PLANE),
    ...ofType(resources, MEMBER).filter(({ props }) => text(at(props, "role")) === "control-plane"),
  ];
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
