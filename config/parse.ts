import { checkFacts, staleness, type HostFacts } from "./facts";
import { dnsLabel } from "./fields";
import { ConfigError, describe, didYouMean, problem, type Problem } from "./problems";
import { checkSpec, maps, SECTION_NAMES, values, type MapName, type Value, type ValueName } from "./sections";
import type { StackSpec } from "./spec";
import { validate } from "./validate";
import type { z } from "zod";

/** What the parser needs from outside; it opens no file and reads no clock itself. */
export interface ParseContext {
  /** The stack's name: the cluster's default name. */
  readonly stack: string;
  /** Reads and JSON-parses a facts file, relative to the checkout; throws when it can't. */
  readonly readFacts: (path: string) => unknown;
  /** Told what is allowed and yet worth a look. */
  readonly warn?: (problem: Problem) => void;
  /** For the age of the facts; default: no such warning. */
  readonly now?: Date;
}

/**
 * The stack file's section of namespace `kvmesh`, validated.
 *
 * `raw` maps each key without its namespace to its value, structured ones parsed ({ hosts: {…}, environment: "…" }).
 * Throws one ConfigError that holds everything that is wrong.
 */
export function parseStack(raw: Readonly<Record<string, unknown>>, context: ParseContext): StackSpec {
  const problems: Problem[] = [];
  for (const key of Object.keys(raw)) {
    if (!(SECTION_NAMES as readonly string[]).includes(key)) {
      problems.push(
        problem(
          [key],
          undefined,
          `no such key.${didYouMean(key, SECTION_NAMES)} The keys are ${SECTION_NAMES.join(", ")}.`,
        ),
      );
    }
  }

  const value = <K extends ValueName>(name: K): Value<K> | undefined =>
    validate(values[name].schema, name === "cluster" ? (raw.cluster ?? context.stack) : raw[name], [name], problems) as
      Value<K> | undefined;
  const entries = <K extends MapName>(name: K): [string, z.output<(typeof maps)[K]["entry"]>][] =>
    namedEntries(name, raw[name], problems) as [string, z.output<(typeof maps)[K]["entry"]>][];

  const clusterName = value("cluster") ?? context.stack;
  // A wrong word here is a problem already; the rules of production would only add others to it.
  const environment = value("environment") ?? "development";
  const network = value("network");
  const kubernetes = value("kubernetes");
  const mesh = values.mesh.complete(value("mesh"), raw.mesh !== undefined, environment, problems);
  const hostNames = keysOf(raw.hosts);
  const pools = entries("pools").map(([name, entry]) => maps.pools.complete(name, entry, hostNames));
  const partial = {
    clusterName,
    environment,
    ssh: value("ssh"),
    timeouts: value("timeouts"),
    evidence: value("evidence"),
    image: value("image"),
    network: network && values.network.complete(network, clusterName, problems),
    kubernetes: kubernetes && values.kubernetes.complete(kubernetes, pools),
    mesh,
    hosts: entries("hosts").flatMap(([name, entry]) => {
      const facts = loadFacts(name, entry.facts, context, problems);
      return facts ? [maps.hosts.complete(name, entry, facts)] : [];
    }),
    pools,
    namespaces: entries("namespaces").map(([name, entry]) =>
      maps.namespaces.complete(name, entry, { environment, meshed: mesh.provider !== "none" }),
    ),
    services: entries("services").map(([key, entry]) => maps.services.complete(key, entry)),
    gateways: entries("gateways").map(([key, entry]) => maps.gateways.complete(key, entry)),
    canaries: entries("canaries").map(([key, entry]) => maps.canaries.complete(key, entry)),
  };
  const findings = checkSpec(partial, raw);
  problems.push(...findings.problems);
  if (problems.length > 0) throw new ConfigError(`the configuration of stack ${context.stack}`, problems);
  for (const warning of findings.warnings) context.warn?.(warning);
  return partial as StackSpec;
}

/** Pulumi's config, "kvmesh:hosts" → text, as `parseStack` takes it: structured values are JSON there. */
export function rawConfig(all: Readonly<Record<string, string>>, namespace = "kvmesh"): Record<string, unknown> {
  const raw: Record<string, unknown> = {};
  for (const [key, text] of Object.entries(all)) {
    if (!key.startsWith(`${namespace}:`)) continue;
    raw[key.slice(namespace.length + 1)] = /^\s*[[{]/.test(text) ? (JSON.parse(text) as unknown) : text;
  }
  return raw;
}

/** The valid entries of a map in the order of their names; the others become problems. */
function namedEntries(name: MapName, value: unknown, problems: Problem[]): [string, unknown][] {
  if (value === undefined || value === null) return [];
  if (typeof value !== "object" || Array.isArray(value)) {
    problems.push({ path: name, found: describe(value), message: "give a map: name, then what it is" });
    return [];
  }
  const valid: [string, unknown][] = [];
  for (const [key, entry] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const label = dnsLabel.safeParse(key);
    if (!label.success) problems.push(problem([name, key], key, label.error.issues[0]!.message));
    const before = problems.length;
    const schema = name === "pools" ? maps.pools.entryFor(entry) : maps[name].entry;
    const data = validate(schema, entry, [name, key], problems);
    if (problems.length === before) valid.push([key, data]);
  }
  return valid;
}

function loadFacts(
  host: string,
  path: string | undefined,
  context: ParseContext,
  problems: Problem[],
): HostFacts | undefined {
  const file = path ?? maps.hosts.factsFileOf(host);
  const at = ["hosts", host, "facts"];
  let raw: unknown;
  try {
    raw = context.readFacts(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    problems.push(problem(at, file, `${reason}. Write it with \`npm run facts -- ${host}\``));
    return undefined;
  }
  const checked = checkFacts(raw, [...at, file]);
  problems.push(...checked.problems);
  const old = checked.facts && context.now && staleness(checked.facts, context.now);
  if (old) context.warn?.(problem(at, file, `${old} with \`npm run facts -- ${host}\``));
  return checked.facts;
}

function keysOf(value: unknown): string[] {
  return typeof value === "object" && value !== null ? Object.keys(value).sort() : [];
}
