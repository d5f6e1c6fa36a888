import { expect } from "chai";
import * as rpc from "@pulumi/pulumi/proto/provider_pb";
import { failureOf } from "../../provider/core/errors";
import { Failed } from "../../provider/core/failed";
import { anyKind, PartialError, UNKNOWN, type Kind } from "../../provider/core/kind";
import { Plugin } from "../../provider/core/plugin";
import { fromStruct, markIncomplete, toStruct } from "../../provider/core/values";
import type { Properties } from "../../provider/core/values";
import type { Transport } from "../../provider/transport/transport";

interface Inputs {
  readonly size: number;
  readonly limit: number;
}

const URN = "urn:pulumi:test::test::kvmesh:index:Thing::thing";

/** One kind whose `limit` is only recorded, and how often its update was run. */
function thing(): { plugin: Plugin; updates: Inputs[]; fail: (message?: string) => void } {
  const updates: Inputs[] = [];
  let failing: string | undefined;
  const kind: Kind<Inputs, { key: string; seen?: string }> = {
    token: "kvmesh:index:Thing",
    outputs: { key: "stable", seen: "volatile" },
    check: (inputs) => ({ inputs: inputs as unknown as Inputs, failures: [] }),
    diff: (olds, news) => (olds.limit === news.limit ? [] : [{ property: "limit", effect: "record" }]),
    create: () => Promise.reject(new PartialError("cut off", "thing", {})),
    read: (_ctx, _id, known) =>
      Promise.resolve(known && { inputs: { size: known.size, limit: known.limit }, outputs: known }),
    update: (_ctx, _id, _olds, news) => {
      updates.push(news);
      return failing === undefined
        ? Promise.resolve({ key: "k", seen: "s" })
        : Promise.reject(new PartialError(failing, "thing", {}));
    },
    delete: () => Promise.resolve(),
  };
  const transport = {} as Transport;
  const plugin = new Plugin({
    kinds: [anyKind(kind)],
    version: "0.0.0",
    engine: undefined,
    connect: () => Promise.resolve(transport),
    bind: () => transport,
  });
  return { plugin, updates, fail: (message) => (failing = message) };
}

function update(olds: Properties, news: Properties, how: { incomplete?: boolean; preview?: boolean } = {}) {
  const request = new rpc.UpdateRequest();
  request.setUrn(URN);
  request.setId("thing");
  request.setOlds(how.incomplete ? markIncomplete(toStruct(olds)) : toStruct(olds));
  request.setNews(toStruct(news));
  request.setPreview(how.preview ?? false);
  return request;
}

function diff(olds: Properties, news: Properties, incomplete = false): rpc.DiffRequest {
  const request = new rpc.DiffRequest();
  request.setUrn(URN);
  request.setId("thing");
  request.setOlds(incomplete ? markIncomplete(toStruct(olds)) : toStruct(olds));
  request.setNews(toStruct(news));
  return request;
}

describe("plugin: what an earlier run left half made", () => {
  const whole = { size: 1, limit: 1, key: "k", seen: "s" };

  it("a change that is only recorded does not finish it: the handler is run", async () => {
    for (const [olds, incomplete] of [
      [{ size: 1, limit: 1 }, false],
      [whole, true],
    ] as const) {
      const { plugin, updates } = thing();
      const response = await plugin.update(update(olds, { size: 1, limit: 2 }, { incomplete }));
      expect(updates).to.deep.equal([{ size: 1, limit: 2 }]);
      expect(fromStruct(response.getProperties())).to.deep.include({
        values: { size: 1, limit: 2, key: "k", seen: "s" },
        incomplete: false,
      });
    }
  });

  it("what is whole is not touched by a change that is only recorded", async () => {
    const { plugin, updates } = thing();
    const response = await plugin.update(update(whole, { size: 1, limit: 2 }));
    expect(updates).to.deep.equal([]);
    expect(fromStruct(response.getProperties()).values).to.deep.equal({ ...whole, limit: 2 });
  });

  it("needs an update although no input changed, and its outputs are unknown in a preview", async () => {
    const { plugin } = thing();
    const { DIFF_NONE, DIFF_SOME } = rpc.DiffResponse.DiffChanges;
    const same = { size: 1, limit: 1 };
    expect(plugin.diff(diff(whole, same)).getChanges()).to.equal(DIFF_NONE);
    expect(plugin.diff(diff(whole, same, true)).getChanges()).to.equal(DIFF_SOME);
    expect(plugin.diff(diff(same, same)).getChanges()).to.equal(DIFF_SOME);
    const response = await plugin.update(update(same, { size: 1, limit: 2 }, { preview: true }));
    expect(fromStruct(response.getProperties()).values).to.deep.include({ key: UNKNOWN, seen: UNKNOWN });
  });

  it("a refresh does not finish it", async () => {
    const { plugin } = thing();
    const request = new rpc.ReadRequest();
    request.setUrn(URN);
    request.setId("thing");
    request.setInputs(toStruct({ size: 1, limit: 1 }));
    request.setProperties(markIncomplete(toStruct(whole)));
    expect(fromStruct((await plugin.read(request)).getProperties()).incomplete).to.equal(true);
  });

  it("a failed update keeps the outputs and is noted", async () => {
    const { plugin, fail } = thing();
    fail("cut off again");
    const error = await plugin.update(update({ ...whole, key: "old" }, { size: 1, limit: 1 })).catch((e: unknown) => e);
    expect(error).to.be.instanceOf(Failed);
    const { metadata } = failureOf((error as Failed).error, (error as Failed).inputs);
    const text = metadata?.get("grpc-status-details-bin").toString() ?? "";
    expect(text).to.contain("__incomplete");
    expect((error as Failed).inputs).to.deep.include({ outputs: { key: "old", seen: "s" } });
  });
});
