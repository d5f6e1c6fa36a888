import { expect } from "chai";
import fc from "fast-check";
import { z } from "zod";
import { checkWith } from "../../provider/core/check";
import { changesOf, differences } from "../../provider/core/diff";
import { failureOf } from "../../provider/core/errors";
import { PartialError, UserError } from "../../provider/core/kind";
import type { Context } from "../../provider/core/kind";
import { packageSchema } from "../../provider/core/schema";
import { parseImportId } from "../../provider/core/import-id";
import { parseSettings } from "../../provider/core/settings";
import { fromStruct, toStruct } from "../../provider/core/values";
import { kinds } from "../../provider/kinds";

describe("values on the wire", () => {
  it("come back as they were, and secrets are known by their property", () => {
    const plain = fc.jsonValue({ maxDepth: 3 }).filter((value) => !JSON.stringify(value).includes('"__proto__":'));
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), plain), fc.boolean(), (values, secret) => {
        const names = Object.keys(values);
        const back = fromStruct(toStruct(values, secret ? names : []));
        expect(JSON.parse(JSON.stringify(back.values))).to.deep.equal(JSON.parse(JSON.stringify(values)));
        expect([...back.secrets].sort()).to.deep.equal(secret ? names.sort() : []);
      }),
    );
  });

  it("refuse a key that the protocol's library would lose", () => {
    for (const text of ['{"__proto__":1}', '{"a":[{"__proto__":{"b":1}}]}'])
      expect(() => toStruct(JSON.parse(text) as Record<string, unknown>)).to.throw(UserError, '"__proto__"');
  });

  it("finds a secret deep inside, and leaves out what is undefined", () => {
    const secret = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", value: ["x"] };
    const back = fromStruct(toStruct({ a: { b: [secret] }, c: undefined, __defaults: [] }));
    expect(back.values).to.deep.equal({ a: { b: [["x"]] } });
    expect([...back.secrets]).to.deep.equal(["a"]);
  });
});

describe("differences", () => {
  it("are none for equal values, and name the deepest place", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(differences("p", value, structuredClone(value))).to.deep.equal([]);
      }),
    );
    expect(differences("p", { a: [1, 2], "b c": 1 }, { a: [1, 3, 4], "b c": 2 })).to.deep.equal([
      "p.a[1]",
      "p.a[2]",
      'p["b c"]',
    ]);
    expect(changesOf({ a: 1, b: undefined }, { a: 2, b: undefined }, { a: "live", b: "replace" })).to.deep.equal([
      { property: "a", effect: "live" },
    ]);
  });
});

describe("failures", () => {
  it("are told without a stack, and defects with the way to theirs", () => {
    expect(failureOf(new UserError("do this")).details).to.equal("do this");
    expect(failureOf(new TypeError("oops")).details).to.match(/^a fault of kvmesh itself: oops\n.*KVMESH_DEBUG=1/);
    expect(failureOf(new TypeError("oops")).details).not.to.match(/\n\s+at /);
    process.env.KVMESH_DEBUG = "1";
    try {
      expect(failureOf(new TypeError("oops")).details).to.match(/TypeError: oops\n\s+at /);
    } finally {
      delete process.env.KVMESH_DEBUG;
    }
  });

  it("carry what was half made", () => {
    const failed = failureOf(new PartialError("half", "id-1", { path: "/x" }), { values: { a: 1 }, secrets: [] });
    const detail = failed.metadata?.get("grpc-status-details-bin")[0] as Buffer;
    expect(detail.toString("latin1"))
      .to.contain("pulumirpc.ErrorResourceInitFailed")
      .and.to.contain("id-1")
      .and.to.contain("/x");
  });
});

describe("check", () => {
  it("reports all failures at once, with what is missing", () => {
    const check = checkWith(z.strictObject({ a: z.int(), b: z.string() }));
    expect(check({ a: "x" }).failures.map((failure) => failure.property)).to.deep.equal(["a", "b"]);
    expect(check({ a: "x" }).failures[1]?.reason).to.contain("it is missing");
  });
});

describe("the provider's settings", () => {
  it("take numbers as text, expand ~, and name what they don't know", () => {
    const { settings, failures } = parseSettings({ attempts: "7", identityFile: "~/k", version: "1" });
    expect(failures).to.deep.equal([]);
    expect(settings.attempts).to.equal(7);
    expect(settings.identityFile).to.match(/^\/.+\/k$/);
    const wrong = parseSettings({ attempts: "many", identitiyFile: "x" }).failures;
    expect(wrong.map((failure) => failure.property)).to.deep.equal(["attempts", "identitiyFile"]);
  });

  it("of the engine's default provider are the stack file's: its login and its hosts, without the comments of their keys", () => {
    const hostKey = `ssh-ed25519 ${"A".repeat(68)}`;
    const config = {
      ssh: JSON.stringify({ identityFile: "/k" }),
      hosts: JSON.stringify({
        osl1: { endpoint: { address: "h.example", hostKey: `${hostKey} root@h` }, storage: "/x" },
      }),
      cluster: "nor",
      pools: "{}",
    };
    const { settings, failures } = parseSettings(config, true);
    expect(failures).to.deep.equal([]);
    expect(settings.identityFile).to.equal("/k");
    expect(settings.cluster).to.equal("nor");
    expect(settings.hosts.get("osl1")).to.deep.equal({ address: "h.example", port: 22, user: "root", hostKey });
    const { failures: named } = parseSettings({ hosts: { osl1: { endpoint: { address: "h" } } } });
    expect(named.map(({ property }) => property)).to.deep.equal(["hosts.osl1.endpoint"]);
  });
});

describe("an import ID", () => {
  const ctx = { importing: { hosts: new Map([["osl1", { address: "a" }]]) } } as unknown as Context;

  it("names a host of the provider, and what is on it", () => {
    expect(parseImportId(ctx, "osl1:/var/lib/x.qcow2", "PATH")).to.deep.equal({
      host: { address: "a" },
      rest: "/var/lib/x.qcow2",
    });
  });

  it("that is wrong is told how to be right", () => {
    expect(() => parseImportId(ctx, "web-0", "MACHINE")).to.throw("must be HOST:MACHINE");
    expect(() => parseImportId(ctx, "osl2:web-0", "MACHINE")).to.throw("the provider's hosts are osl1");
    const none = { importing: { hosts: new Map() } } as unknown as Context;
    expect(() => parseImportId(none, "osl1:web-0", "MACHINE")).to.throw("give the provider `hosts`");
  });
});

describe("the package schema", () => {
  it("has every kind, its inputs and its secret outputs", () => {
    const schema = JSON.parse(packageSchema(kinds, "1.2.3")) as {
      resources: Record<string, { inputProperties: object; properties: Record<string, { secret?: boolean }> }>;
    };
    expect(Object.keys(schema.resources)).to.include.members(["kvmesh:index:Domain", "kvmesh:index:HostKey"]);
    expect(schema.resources["kvmesh:index:Domain"]?.inputProperties).to.include.keys("vcpuPins", "memoryBytes");
    expect(schema.resources["kvmesh:index:HostKey"]?.properties["privateKey"]?.secret).to.equal(true);
  });

  it("has no token twice", () => {
    const tokens = kinds.map((kind) => kind.token);
    expect(new Set(tokens).size).to.equal(tokens.length);
  });
});
