import { readWaivers, NO_WAIVERS, type WaiverFile } from "../../policies/waivers";
import { findRule } from "../../policies/run";
import { evaluate, type EvaluationInput } from "../../report/evaluate";
import { Observations, type EngineEvent } from "../../report/events";
import { Locator } from "../../report/locate";
import { rulesOf, type Header, type Report, type RuleResult } from "../../report/model";
import { NO_PACK_CONFIG } from "../../report/pack-config";

export const PACK = { policyPackName: "kvmesh", policyPackVersion: "0.1.0" };
export const URN =
  "urn:pulumi:prod::kvmesh::kvmesh:nodes:NodeLayer$kvmesh:nodes:CarvedMachine$kvmesh:index:Domain::nor-worker-1";

export const header: Header = {
  judged: "preview",
  state: "own",
  stack: "prod",
  environment: "production",
  commit: "0123456789abcdef",
  pack: { name: "kvmesh", version: "0.1.0", digest: "sha256:aa", folder: "policies" },
  packConfig: { digest: "none", settings: [] },
  stackFile: { path: "Pulumi.prod.yaml", digest: "sha256:bb" },
  cliVersion: "v3.259.0",
  time: "2026-11-28T12:00:00.000Z",
  command: "pulumi preview",
  exitCode: 0,
  end: { state: "ended" },
  notes: [],
};

export const stackFile = `config:
  kvmesh:cluster: nor
  kvmesh:pools:
    control: { role: control-plane, count: 3, vcpus: 4 }
    worker:
      role: worker
      vcpus: 8
  kvmesh:kubernetes:
    version: 1.34.2
  kvmesh:canaries:
    cart:
      weights: { v1: 90, v2: 10 }
`;

export const passed = (id: string, resourceUrn = URN): EngineEvent => ({
  policyAnalyzeSummaryEvent: { ...PACK, resourceUrn, passed: [id] },
});
export const stackDone = (...ids: string[]): EngineEvent => ({
  policyAnalyzeStackSummaryEvent: { ...PACK, passed: ids },
});
export const violation = (
  policyName: string,
  text: string,
  enforcementLevel = "mandatory",
  resourceUrn = URN,
): EngineEvent => ({
  policyEvent: { ...PACK, resourceUrn, policyName, message: text, enforcementLevel },
});
export const cannotRun = (id: string): EngineEvent =>
  violation(
    id,
    `can't run policy '${id}' from policy pack 'kvmesh@v0.1.0' during preview: string value at .host can't be known during preview`,
    "advisory",
  );

export function reportOf(events: readonly EngineEvent[], more: Partial<EvaluationInput> = {}): Report {
  const observations = new Observations("kvmesh");
  for (const event of events) observations.add(event);
  return evaluate({
    header,
    observations,
    packConfig: NO_PACK_CONFIG,
    waivers: NO_WAIVERS,
    locator: new Locator("Pulumi.prod.yaml", stackFile),
    ...more,
  });
}

export function ruleIn(report: Report, id: string): RuleResult {
  const found = rulesOf(report).find((rule) => rule.id === id);
  if (!found) throw new Error(`no ${id}`);
  return found;
}

/** A file of one waiver, judged for the time of `header`. */
export function waiverOf(rule: string, resource: string): WaiverFile {
  const text = `version: 1
waivers:
  - rule: ${rule}
    resource: ${resource}
    owner: payments
    reason: The old client speaks no TLS; it is gone in December.
    ticket: PAY-7
    expires: 2026-12-31
`;
  return readWaivers(text, { file: "waivers.yaml", now: new Date(header.time), rule: findRule });
}

/** Every kind of verdict in one report. */
export function fullReport(): Report {
  const sample = (subject: string, found: string): string =>
    `t\n${subject}: found ${found}\nrequired: whole weights that sum to 100\nremedy: Sum to \`100\`.`;
  const waived =
    "t\nPeerAuthentication shop/legacy: found PERMISSIVE\nrequired: STRICT\nremedy: r.\n" +
    "waived: until 2026-12-31 by payments (PAY-7): The old client speaks no TLS; it is gone in December.";
  const cart =
    "urn:pulumi:prod::kvmesh::kvmesh:mesh:MeshLayer$kvmesh:mesh:Canary$k:x/v1:VirtualService::shop/cart-virtual-service";
  return reportOf(
    [
      { preludeEvent: {} },
      step("create", URN, "kvmesh:index:Domain"),
      step("update", cart, "k:x/v1:VirtualService", {
        "spec.http[0].route[0].weight": { diffKind: "update" },
        "metadata.annotations": { diffKind: "update" },
      }),
      passed("node-min-vcpus"),
      violation("canary-weights", sample("VirtualService shop/cart", "weights 90 + 20 = 110"), "mandatory", cart),
      violation("retry-budget", sample("VirtualService shop/cart", "no limit"), "advisory", cart),
      violation("mesh-strict", waived, "advisory"),
      cannotRun("ssh-host-key"),
      stackDone("mtls-conflict"),
      { cancelEvent: {} },
    ],
    { waivers: waiverOf("mesh-strict", "PeerAuthentication shop/legacy") },
  );
}

export function step(
  op: string,
  urn: string,
  type: string,
  detailedDiff?: Record<string, { diffKind: string }>,
): EngineEvent {
  const weights = (weight: number): object => ({
    custom: true,
    inputs: { spec: { http: [{ route: [{ weight }] }] }, metadata: { annotations: "hunter2-old" } },
  });
  return {
    resourcePreEvent: { planning: true, metadata: { op, urn, type, old: weights(90), new: weights(80), detailedDiff } },
  };
}
