import { problem, type Path, type Problem } from "./problems";
import type { StackSpec } from "./spec";

/** A spec in which what did not parse is missing: checks look at what is there, so that all errors come at once. */
export type Draft = { readonly [K in keyof StackSpec]: StackSpec[K] | undefined } & {
  readonly clusterName: string;
  readonly environment: StackSpec["environment"];
  readonly hosts: StackSpec["hosts"];
  readonly pools: StackSpec["pools"];
  readonly mesh: StackSpec["mesh"];
  readonly namespaces: StackSpec["namespaces"];
  readonly services: StackSpec["services"];
  readonly gateways: StackSpec["gateways"];
  readonly canaries: StackSpec["canaries"];
};

export interface Findings {
  readonly problems: Problem[];
  readonly warnings: Problem[];
}

export function fail(findings: Findings, path: Path, value: unknown, message: string): void {
  findings.problems.push(problem(path, value, message));
}

export function warn(findings: Findings, path: Path, value: unknown, message: string): void {
  findings.warnings.push(problem(path, value, message));
}

/** Names of a map of the stack file, also of entries that did not parse: a reference to one of those is no second error. */
export function declared(raw: Readonly<Record<string, unknown>>, section: string): readonly string[] {
  const value = raw[section];
  return typeof value === "object" && value !== null ? Object.keys(value) : [];
}

/** Key of an entry in its map: its own, or the one whose entry carries this name. */
export function keyOf(raw: Readonly<Record<string, unknown>>, section: string, name: string): string {
  const map = raw[section] as Record<string, { name?: unknown } | null> | undefined;
  return Object.keys(map ?? {}).find((key) => (map?.[key]?.name ?? key) === name) ?? name;
}
