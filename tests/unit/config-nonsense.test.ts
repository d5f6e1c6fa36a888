import * as fc from "fast-check";
import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";
import { ConfigError, parseStack } from "../../config";
import { checkoutRoot } from "../../tools/toolchain/cache";

/** Places in a value, each as its keys: [] is the value itself. */
function placesIn(value: unknown, at: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([key, child]) => placesIn(child, [...at, key]))];
}

function withValue(value: unknown, [key, ...rest]: readonly string[], put: unknown): unknown {
  if (key === undefined) return put;
  const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) }) as Record<string, unknown>;
  copy[key] = withValue(copy[key], rest, put);
  return copy;
}

describe("parseStack, on nonsense", () => {
  for (const stack of ["prod", "staging"]) {
    const file = parse(fs.readFileSync(path.join(checkoutRoot(), `Pulumi.${stack}.yaml`), "utf8")) as {
      config: Record<string, unknown>;
    };
    const raw = Object.fromEntries(
      Object.entries(file.config).map(([key, value]) => [key.replace("kvmesh:", ""), value]),
    );
    const context = (readFacts: (name: string) => unknown) => ({ stack, readFacts, now: new Date("2026-11-28") });
    const facts = (name: string): unknown => JSON.parse(fs.readFileSync(path.join(checkoutRoot(), name), "utf8"));
    const onlyConfigErrors = (values: Record<string, unknown>, readFacts: (name: string) => unknown): void => {
      try {
        parseStack(values, context(readFacts));
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
      }
    };

    it(`anywhere in Pulumi.${stack}.yaml: refused in words, if at all`, () => {
      const places = placesIn(raw).filter((place) => place.length > 0);
      fc.assert(
        fc.property(fc.constantFrom(...places), nonsense, (place, put) => {
          onlyConfigErrors(withValue(raw, place, put) as Record<string, unknown>, facts);
        }),
        { numRuns: 120 },
      );
    });

    it(`anywhere in the facts files of Pulumi.${stack}.yaml: refused in words, if at all`, () => {
      const whole = facts(firstFacts(raw));
      fc.assert(
        fc.property(fc.constantFrom(...placesIn(whole)), nonsense, (place, put) => {
          onlyConfigErrors(raw, () => withValue(whole, place, put));
        }),
        { numRuns: 120 },
      );
    });
  }
});

/** Values of every kind, those that people write by mistake among them. */
const nonsense = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom(
    undefined,
    null,
    "",
    "0",
    -1,
    1e308,
    NaN,
    [],
    {},
    [null],
    { "": null },
    "__proto__",
    "8 GB",
    "10.0.0.0/33",
  ),
);

function firstFacts(raw: Record<string, unknown>): string {
  const [name, host] = Object.entries(raw.hosts as Record<string, { facts?: string }>)[0]!;
  return host.facts ?? `facts/${name}.json`;
}
