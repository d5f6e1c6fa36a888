import { expect } from "chai";
import fc from "fast-check";
import { canonicalJson, digestOf } from "../../rules/canonical-json";
import { evidenceKind, outdated } from "../../provider/evidence/kind";
import { preflightKind } from "../../provider/evidence/preflight";
import type { EvidenceOutputs } from "../../provider/evidence/schema";
import { evidenceIn, evidenceTable } from "../../tools/evidence";
import { evidenceInputs, fioReport, production } from "../support/evidence-inputs";
import { LocalMachine, testContext } from "../support/local-machine";

describe("evidence: digest", () => {
  it("is of the one canonical form, whatever the order of fields", () => {
    expect(canonicalJson({ b: [1, "ø", null], a: { d: 0.1, c: true } })).to.equal(
      '{"a":{"c":true,"d":0.1},"b":[1,"ø",null]}',
    );
    expect(digestOf({ b: 2, a: 1 })).to.equal(
      // printf '{"a":1,"b":2}' | sha256sum
      "sha256:43258cff783fe7036d8a43033f830adfc60ec037382473548ac742b888292777",
    );
  });

  it("survives what a state does to a record, and no change of it", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (record) => {
        const shuffled = Object.fromEntries(Object.entries(record).reverse());
        expect(digestOf(JSON.parse(JSON.stringify(shuffled)) as object)).to.equal(
          digestOf(JSON.parse(JSON.stringify(record)) as object),
        );
        expect(digestOf({ ...record, added: 1 })).not.to.equal(digestOf({ ...record, added: 2 }));
      }),
    );
  });
});

describe("evidence: its age", () => {
  const taken = "2026-10-01T12:00:00.000Z";
  const old = { takenAt: taken, contradictions: [] } as unknown as EvidenceOutputs;
  const after = (days: number): number => Date.parse(taken) + days * 86_400_000;

  it("is a change only beyond the limit, and says since when", () => {
    expect(outdated(old, evidenceInputs(), after(30))).to.deep.equal([]);
    expect(outdated(old, evidenceInputs(), after(30.1))).to.deep.equal([
      {
        property: "takenAt",
        effect: "live",
        reason: `evidence of ${taken} is older than 30 d: measured again by up`,
      },
    ]);
    expect(outdated(old, evidenceInputs({ maxAgeSeconds: 5400 }), after(1))[0]?.reason).to.include("older than 1.5 h");
  });

  it("does not matter where a refresh saw that it no longer holds", () => {
    const [change] = outdated({ ...old, contradictions: ["vCPU → CPU: …"] }, evidenceInputs(), after(0));
    expect(change).to.deep.include({ property: "contradictions", effect: "live" });
  });

  it("is the only reason besides what the record speaks of", () => {
    const known = { ...evidenceInputs(), ...old, takenAt: new Date().toISOString() };
    expect(
      evidenceKind.diff(known, evidenceInputs({ windowSeconds: 20, fsyncWriters: [1] })).map(({ effect }) => effect),
    ).to.not.include("live");
    expect(evidenceKind.diff(known, evidenceInputs({ maxFsyncMs: 5 }))).to.deep.equal([
      { property: "maxFsyncMs", effect: "live" },
    ]);
  });
});

describe("evidence: of an existing machine", () => {
  it("is refused in production with all numbers, and leaves nothing recorded; warned of elsewhere", async () => {
    const machine = new LocalMachine();
    try {
      machine.command("getconf", "echo 2");
      machine.command("systemd-detect-virt", '[ "$1" = --container ] && { echo none; exit 1; }; echo kvm');
      machine.command("fio", `[ "$1" = --version ] && { echo fio-3.39; exit; }\necho '${fioReport(20.1, 24.5, 49)}'`);
      const plan = { maxStealPercent: 100, vcpus: 2 };
      const ctx = testContext(machine);
      const { maxAgeSeconds: _, ...unfit } = evidenceInputs({ ...plan, owner: production, vcpus: 4 });
      const error = await preflightKind.create(ctx, unfit).then(
        () => expect.fail("accepted"),
        (reason: unknown) => reason as Error,
      );
      expect(error.message.split("\n")).to.deep.equal([
        "machine m1 (192.0.2.1) was measured and is not fit; nothing was installed on it:",
        "  - vCPUs: 2; required: at least 4; resize the machine, or lower its declared vcpus",
        `  - fdatasync in ${machine.path("var/lib")} by 1 writer, 99th percentile: 24.5 ms; required: at most 10 ms; ` +
          "give the control planes a faster disk; the limit is `maxFsync` of their pool",
      ]);
      const { outputs } = await evidenceKind.create(ctx, evidenceInputs(plan));
      expect(ctx.warned[0]).to.include("99th percentile: 24.5 ms; required: at most 10 ms");
      expect(outputs.record).to.deep.include({ machine: "m1", verdict: "warn", role: "control-plane" });
      expect(outputs.digest).to.equal(digestOf(outputs.record));
      expect(outputs.takenAt).to.equal(outputs.record.takenAt);
    } finally {
      machine.close();
    }
  });
});

describe("npm run evidence", () => {
  const record = {
    machine: "m1",
    address: "192.0.2.1",
    host: "192.0.2.9",
    takenAt: "2026-11-22T06:00:00.000Z",
    verdict: "warn",
    tools: { fio: "fio-3.39" },
    values: [
      { id: "steal", what: "steal over 10 s", measured: 0.1, unit: "%", limit: 1, verdict: "pass" },
      {
        id: "fsync-p99-1",
        what: "fdatasync",
        measured: null,
        unit: "ms",
        limit: 10,
        verdict: "warn",
        note: "not measured: install fio",
      },
    ],
  };
  const state = (outputs: object): string =>
    JSON.stringify({ deployment: { resources: [{ type: "kvmesh:index:Evidence", outputs }, { type: "other" }] } });

  it("shows every value with its limit, and that the digest is the record's", () => {
    const [found] = evidenceIn(state({ record, digest: digestOf(record), contradictions: [] }));
    const text = evidenceTable(found!).join("\n");
    expect(text).to.match(/m1 \(192\.0\.2\.1 on host 192\.0\.2\.9\): warn, 2026-11-22/);
    expect(text).to.match(/pass +steal over 10 s +0\.1 % +1 %/);
    expect(text).to.match(/warn +fdatasync +not measured: install fio +10 ms/);
    expect(text).to.include("computed again: the same");
  });

  it("shouts when a record was changed, or a refresh saw otherwise", () => {
    const changed = { ...record, verdict: "pass" };
    const [found] = evidenceIn(
      state({ record: changed, digest: digestOf(record), contradictions: ["vCPU → CPU: 0→1"] }),
    );
    const text = evidenceTable(found!).join("\n");
    expect(text).to.include("IS NOT ITS RECORD'S");
    expect(text).to.include("NO LONGER TRUE, a refresh saw: vCPU → CPU: 0→1");
  });
});
