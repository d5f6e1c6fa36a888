import type { z } from "zod";

/** One thing wrong in the stack file or a facts file. */
export interface Problem {
  /** Where: `hosts.osl1-a.endpoint.hostKey`. */
  readonly path: string;
  /** What was found there, shortened; empty where nothing was. */
  readonly found: string;
  /** What is wrong with it and what to do. */
  readonly message: string;
}

export type Path = readonly PropertyKey[];

/** Everything that is wrong, in one error: its message is one clean list for a person. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(
    readonly source: string,
    readonly problems: readonly Problem[],
  ) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    super(`${count} in ${source}:\n${problems.map((problem) => `  ${formatProblem(problem)}`).join("\n")}`);
  }
}

export function formatProblem({ path, found, message }: Problem): string {
  return `${path}: ${found === "" ? "" : `found ${found}; `}${message}`;
}

/** ["hosts", "osl1-a", "addresses", 0] → "hosts.osl1-a.addresses[0]". */
export function formatPath(path: Path): string {
  return path
    .map((key, i) => {
      if (typeof key === "number") return `[${key}]`;
      const text = String(key);
      if (!/^[\w/-]+$/.test(text)) return `[${JSON.stringify(text)}]`;
      return i === 0 ? text : `.${text}`;
    })
    .join("");
}

/** A value as an error shows it: short, and never a private key. */
export function describe(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value === "string") {
    if (value.includes("PRIVATE KEY")) return "a private key";
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value);
  }
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "a map";
  return JSON.stringify(value);
}

export function problem(path: Path, value: unknown, message: string): Problem {
  return { path: formatPath(path), found: describe(value), message };
}

/** ` Did you mean "x"?`, or nothing where no candidate is near. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const limit = Math.max(2, Math.ceil(word.length * 0.4));
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance <= limit && distance < candidate.length && (!best || distance < best.distance)) {
      best = { candidate, distance };
    }
  }
  return best ? ` Did you mean "${best.candidate}"?` : "";
}

/** Levenshtein's distance, with two neighbouring letters changed about counted once. */
function editDistance(a: string, b: string): number {
  let older: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, older[j - 2]! + 1);
      current.push(cost);
    }
    older = previous;
    previous = current;
  }
  return previous[b.length]!;
}

/** zod's issues about `value`, which stands at `base`, as problems; `keysAt` gives the known keys of a map, for suggestions. */
export function fromIssues(
  issues: readonly z.core.$ZodIssue[],
  value: unknown,
  base: Path,
  keysAt: (path: Path) => readonly string[],
): Problem[] {
  return issues.flatMap((issue) => fromIssue(issue, value, base, keysAt));
}

function fromIssue(
  issue: z.core.$ZodIssue,
  value: unknown,
  base: Path,
  keysAt: (path: Path) => readonly string[],
): Problem[] {
  const path = [...base, ...issue.path];
  const at = valueAt(value, issue.path);
  switch (issue.code) {
    case "unrecognized_keys": {
      const known = keysAt(issue.path);
      return issue.keys.map((key) => ({
        path: formatPath([...path, key]),
        found: "",
        message:
          `no such key.${didYouMean(key, known)}` +
          (known.length > 0 ? ` The keys here are ${known.join(", ")}.` : " Remove it."),
      }));
    }
    case "invalid_type":
      if (at === undefined) return [problem(path, at, `missing: give ${article(issue.expected)}`)];
      return [problem(path, at, `give ${article(issue.expected)}`)];
    case "invalid_value": {
      const values = issue.values.map(String);
      const hint = typeof at === "string" ? didYouMean(at, values) : "";
      if (at === undefined) return [problem(path, at, `missing: give one of ${values.join(", ")}`)];
      return [problem(path, at, `give one of ${values.join(", ")}.${hint}`)];
    }
    case "invalid_key":
      return [{ path: formatPath(path), found: "", message: issue.issues[0]?.message ?? issue.message }];
    case "invalid_union": {
      // The branch that got furthest is the one that was meant.
      const branches = issue.errors.filter((branch) => branch.length > 0);
      const depth = (branch: readonly z.core.$ZodIssue[]) => Math.max(...branch.map((inner) => inner.path.length));
      const meant = branches.sort((a, b) => depth(b) - depth(a))[0];
      if (meant && depth(meant) > 0) return fromIssues(meant, at, path, (inner) => keysAt([...issue.path, ...inner]));
      const wanted = [
        ...new Set(
          branches.flat().map((inner) => (inner.code === "invalid_type" ? article(inner.expected) : inner.message)),
        ),
      ];
      return [problem(path, at, wanted.length > 0 ? `give ${wanted.join(" or ")}` : issue.message)];
    }
    case "too_small":
    case "too_big": {
      const bound = issue.code === "too_small" ? `at least ${issue.minimum}` : `at most ${issue.maximum}`;
      const unit = issue.origin === "string" ? " characters" : issue.origin === "array" ? " entries" : "";
      return [problem(path, at, `give ${bound}${unit}`)];
    }
    default:
      return [problem(path, at, issue.message)];
  }
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === "object" && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined),
    value,
  );
}

function article(expected: string): string {
  const words: Record<string, string> = {
    string: "text",
    number: "a number",
    int: "a whole number",
    boolean: "true or false",
    array: "a list",
    object: "a map",
    record: "a map",
  };
  return words[expected] ?? expected;
}
