import { checkWith } from "../core/check";
import { changesOf } from "../core/diff";
import { UserError, type Change, type Context, type Kind } from "../core/kind";
import { without } from "../core/values";
import { whenUnreachable } from "../node/reach";
import { digestOf } from "../../rules/canonical-json";
import { inspectHost } from "./host";
import { describe } from "./judge";
import { judgeHost } from "./judge-host";
import { faultsOf, measure, refuseUnfit } from "./measure";
import { evidenceArgs, type EvidenceInputs, type EvidenceOutputs, type EvidenceRecord } from "./schema";

/** A preflight of this run is not measured a second time. */
const FRESH_MS = 3_600_000;

/**
 * The newest record of what was measured of a machine. The first one is its preflight's. What is declared anew is measured, and
 * refused when it is not so; what is merely due is measured, and only warned of (docs/decisions/0141).
 */
export const evidenceKind: Kind<EvidenceInputs, EvidenceOutputs> = {
  token: "kvmesh:index:Evidence",
  args: evidenceArgs,
  outputs: { record: "volatile", digest: "volatile", takenAt: "volatile", contradictions: "volatile" },

  check: checkWith(evidenceArgs),

  diff: (olds, news) => [...changesOf<EvidenceInputs>(olds, news, EFFECTS), ...outdated(olds, news, Date.now())],

  async create(ctx, inputs) {
    const { first, name: id } = inputs;
    // Replaced on demand, it is measured; the preflight's record is of another day then.
    if (first && Date.now() - Date.parse(first.takenAt) < FRESH_MS) return { id, outputs: outputsOf(first) };
    const record = await measure(ctx, inputs);
    refuseUnfit(inputs, record);
    return { id, outputs: outputsOf(record) };
  },

  async read(ctx, id, known) {
    if (known === undefined) throw new UserError(`evidence ${id} can't be imported: it is measured by \`pulumi up\``);
    const inputs = without(known, "record", "digest", "takenAt", "contradictions");
    const { record, digest, takenAt } = known;
    const outputs = { record, digest, takenAt, contradictions: known.contradictions };
    const { host, domain } = inputs;
    if (host === undefined || domain === undefined) return { inputs, outputs };
    return whenUnreachable(ctx, inputs.name, { inputs, outputs }, async () => {
      const seen = await inspectHost(ctx, host, inputs.name);
      // A machine that is off proves nothing; that it is off is its Domain's business.
      if (seen === undefined) return { inputs, outputs };
      const contradictions = judgeHost(inputs, domain, seen)
        .filter(({ verdict }) => verdict === "fail")
        .map(describe);
      for (const text of contradictions) ctx.warn(`machine ${inputs.name}: its evidence no longer holds: ${text}`);
      return { inputs, outputs: { ...outputs, contradictions } };
    });
  },

  async update(ctx, _id, olds, news) {
    const { first } = news;
    if (first && Date.parse(first.takenAt) > Date.parse(olds.takenAt)) return outputsOf(first);
    if (changesOf<EvidenceInputs>(olds, news, EFFECTS).every(({ effect }) => effect === "record")) {
      return measuredBeside(ctx, olds, news);
    }
    const record = await measure(ctx, news);
    refuseUnfit(news, record, " for what is declared now");
    return outputsOf(record);
  },

  // A record of something past: nothing on the machine is of it.
  delete: () => Promise.resolve(),
};

/** Whatever the record speaks of; how it is measured next time is no reason to measure now. */
const EFFECTS = {
  identity: "replace",
  role: "live",
  plan: "live",
  vcpus: "live",
  hypervisors: "live",
  maxStealPercent: "live",
  maxFsyncMs: "live",
  directory: "live",
  domain: "live",
  endpoint: "record",
  host: "record",
  owner: "live",
  name: "record",
  first: "record",
  windowSeconds: "record",
  fsyncWriters: "record",
  fsyncBytes: "record",
  fsyncSeconds: "record",
  installFio: "record",
  maxAgeSeconds: "record",
} as const;

/**
 * The one diff that looks at the clock: a record says what was true once, and its age is the only thing that makes it untrue
 * without anybody changing anything (docs/decisions/0044).
 */
export function outdated(olds: EvidenceOutputs, news: EvidenceInputs, now: number): Change[] {
  const changes: Change[] = [];
  if (now - Date.parse(olds.takenAt) > news.maxAgeSeconds * 1000) {
    const days = news.maxAgeSeconds / 86_400;
    const age = Number.isInteger(days) ? `${days} d` : `${Math.round(news.maxAgeSeconds / 360) / 10} h`;
    const reason = `evidence of ${olds.takenAt} is older than ${age}: measured again by up`;
    changes.push({ property: "takenAt", effect: "live", reason });
  }
  if (olds.contradictions.length > 0) {
    const reason = "it no longer holds, as was seen since: measured again by up";
    changes.push({ property: "contradictions", effect: "live", reason });
  }
  return changes;
}

function outputsOf(record: EvidenceRecord): EvidenceOutputs {
  return { record, digest: digestOf(record), takenAt: record.takenAt, contradictions: [] };
}

/** Of what is merely due: whatever comes out, the run goes on. A worse record is not taken: the next `up` measures again, and warns again. */
async function measuredBeside(ctx: Context, olds: EvidenceOutputs, news: EvidenceInputs): Promise<EvidenceOutputs> {
  const { record, digest, takenAt } = olds;
  const stays = `the evidence of ${takenAt} stays, nothing else waits for this, and the next \`up\` measures again`;
  try {
    const now = await measure(ctx, news);
    const faults = faultsOf(now);
    if (faults.length === 0) return outputsOf(now);
    ctx.warn(
      `machine ${news.name} was measured again and is worse than declared (${stays}):\n${faults.map((fault) => `  - ${fault}`).join("\n")}`,
    );
    return { record, digest, takenAt, contradictions: faults.map((fault) => `${fault} (measured ${now.takenAt})`) };
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (!(error instanceof UserError)) throw error;
    ctx.warn(`machine ${news.name} could not be measured again (${stays}): ${error.message}`);
    return { record, digest, takenAt, contradictions: olds.contradictions };
  }
}
