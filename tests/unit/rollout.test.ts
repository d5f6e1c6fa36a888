import { expect } from "chai";
import fc from "fast-check";
import {
  describeRollout,
  planRollout,
  revisionOf,
  rolledOutFrom,
  Turns,
  type Revision,
} from "../../components/nodes/rollout";

const old: Revision = { image: "1", machine: "a" };
const now: Revision = { image: "2", machine: "a" };
const nodes = ["w-0", "w-1", "w-2", "w-3"].map((name) => ({ name, revision: now }));
/** A state's resources: what each node was begun with and is ready with. */
const state = (
  entries: Readonly<Record<string, { machine?: boolean; begun?: Revision; ready?: Revision }>>,
): ReturnType<typeof rolledOutFrom> =>
  rolledOutFrom(
    Object.fromEntries(
      Object.entries(entries).flatMap(([name, { machine = true, begun, ready }]) => {
        const of = (type: string, outputs: object): [string, unknown] => [
          `${type}::${name}`,
          { type: `kvmesh:index:${type}`, outputs },
        ];
        return [
          ...(machine ? [of("Machine", { name })] : []),
          ...(begun ? [of("NodeTurn", { name, revision: begun })] : []),
          ...(ready ? [of("NodeReady", { name, revision: ready })] : []),
        ];
      }),
    ),
  );
const at = (revision: Revision) => ({ begun: revision, ready: revision });

describe("a pool's rollout: its plan", () => {
  it("is nothing where all is as declared, and where nothing is there yet", () => {
    const done = state(Object.fromEntries(nodes.map(({ name }) => [name, at(now)])));
    expect(planRollout(nodes, done)).to.deep.equal({ first: [], next: [] });
    expect(planRollout(nodes, state({}))).to.deep.equal({ first: ["w-0", "w-1", "w-2", "w-3"], next: [] });
  });

  it("changes nodes in order, and says what happens to each", () => {
    const plan = planRollout(
      nodes,
      state({ "w-0": at(now), "w-1": at(old), "w-2": at({ image: "2" }), "w-3": at(old) }),
    );
    expect(plan).to.deep.equal({
      first: [],
      next: [
        { name: "w-1", effect: "replaced: another image" },
        { name: "w-2", effect: "replaced: another machine" },
        { name: "w-3", effect: "replaced: another image" },
      ],
    });
    expect(describeRollout("pool worker", plan, 1)).to.equal(
      "pool worker: 3 nodes change, at most 1 at a time:\n" +
        "  1. w-1: replaced: another image\n  2. w-2: replaced: another machine\n  3. w-3: replaced: another image",
    );
  });

  it("brings first to its end what an interrupted run began, also when the declaration went back", () => {
    const killed = state({ "w-0": at(now), "w-1": { begun: now, ready: old }, "w-2": at(old), "w-3": at(old) });
    expect(planRollout(nodes, killed).first).to.deep.equal(["w-1"]);
    const back = nodes.map(({ name }) => ({ name, revision: old }));
    expect(planRollout(back, killed)).to.deep.equal({
      first: ["w-1"],
      next: [{ name: "w-0", effect: "replaced: another image" }],
    });
    expect(describeRollout("pool worker", planRollout(back, killed), 1)).to.match(
      /1 node changes, at most 1 at a time, after w-1, which an earlier run began or which is new:/,
    );
  });

  it("has a digest for each part, by its content", () => {
    const one = revisionOf({ image: ["sha256:1", "qcow2"], size: [4, 8] });
    expect(one).to.deep.equal(revisionOf({ image: ["sha256:1", "qcow2"], size: [4, 8] }));
    expect(revisionOf({ image: ["sha256:2", "qcow2"], size: [4, 8] }).size).to.equal(one.size);
    expect(revisionOf({ image: ["sha256:2", "qcow2"] }).image).not.to.equal(one.image);
  });
});

describe("a pool's rollout: turns", () => {
  it("never has more out than may be, whoever is done when, and comes to its end", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.constantFrom("new", "begun", "old", "done"), { minLength: 1, maxLength: 8 }),
        fc.infiniteStream(fc.nat()),
        async (most, kinds, picks) => {
          const pool = kinds.map((_, i) => ({ name: `w-${i}`, revision: now }));
          const seen = state(
            Object.fromEntries(
              kinds.flatMap((kind, i): [string, object][] => {
                if (kind === "new") return [];
                const how = { begun: { begun: now, ready: old }, old: at(old), done: at(now) }[kind];
                return [[`w-${i}`, how]];
              }),
            ),
          );
          const plan = planRollout(pool, seen);
          const turns = new Turns(plan, most);
          const out = new Set(plan.first);
          const touched: string[] = [];
          // Its beginning waits for what is to be done before.
          await Promise.resolve();
          for (const { name } of plan.next) {
            void turns.turnOf(name).then(() => {
              touched.push(name);
              out.add(name);
            });
          }
          while (touched.length < plan.next.length || out.size > 0) {
            await Promise.resolve();
            await Promise.resolve();
            const waitsForFirst = plan.first.some((name) => out.has(name));
            if (waitsForFirst) expect(touched).to.deep.equal([]);
            else expect(out.size).to.be.within(1, most);
            const name = [...out][picks.next().value % out.size]!;
            out.delete(name);
            turns.done(name);
          }
          expect(touched).to.deep.equal(plan.next.map(({ name }) => name));
        },
      ),
    );
  });
});
