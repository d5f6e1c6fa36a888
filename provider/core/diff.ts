import type { Endpoint } from "../transport/transport";
import type { Change } from "./kind";
import { UNKNOWN } from "./kind";
import { isObject } from "./values";

/** An effect, or one with its reason, which the plan shows. */
export type Effect = Change["effect"] | Pick<Change, "effect" | "reason">;

/**
 * Changed inputs with the effect that the table gives to their top-level property. A value that is not known yet counts as changed.
 * Paths go as deep as the values differ: "disks[0].path".
 */
export function changesOf<I extends object>(
  olds: I,
  news: I,
  effects: { readonly [name in keyof Required<I>]: Effect },
): Change[] {
  const changes: Change[] = [];
  for (const name of Object.keys(effects) as (keyof I & string)[]) {
    const effect = effects[name];
    const how: Omit<Change, "property"> = typeof effect === "string" ? { effect } : effect;
    for (const property of differences(name, olds[name], news[name])) changes.push({ property, ...how });
  }
  return changes;
}

/**
 * What another endpoint of a host means: one that differs in its address or its key alone is the same host, renumbered or with new keys; one that differs in both is another host, and what is
 * on the old one has to go there and be made here.
 */
export function hostEffect(olds: { readonly host: Endpoint }, news: { readonly host: Endpoint }): Effect {
  return isAnotherHost(olds.host, news.host)
    ? { effect: "replace", reason: "another host: nothing is copied to it" }
    : "record";
}

export function isAnotherHost(before: Endpoint, after: Endpoint): boolean {
  if ((after as unknown) === UNKNOWN) return false;
  const known = [after.hostKey, after.address, after.port].every((value: unknown) => value !== UNKNOWN);
  const elsewhere = before.address !== after.address || before.port !== after.port;
  return known && elsewhere && before.hostKey !== after.hostKey;
}

/** Paths below `path` at which two values differ; absent and undefined are the same. */
export function differences(path: string, a: unknown, b: unknown): string[] {
  if (Array.isArray(a) && Array.isArray(b)) {
    const paths: string[] = [];
    for (let i = 0; i < Math.max(a.length, b.length); i++) paths.push(...differences(`${path}[${i}]`, a[i], b[i]));
    return paths;
  }
  if (isObject(a) && isObject(b)) {
    const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
    return keys.flatMap((key) => differences(`${path}${segment(key)}`, a[key], b[key]));
  }
  return a === b || (a ?? undefined) === (b ?? undefined) ? [] : [path];
}

function segment(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}
