import type { KindVerdict, SiteKind } from "../site";
import { judgeMachine } from "./judge-machine";
import { judgeTools } from "./judge-tools";
import type { Look } from "./look";

export interface Check {
  readonly name: string;
  /** "fail": the quickstart would end because of it. "warn": it may, or it takes longer. */
  readonly verdict: "ok" | "warn" | "fail";
  readonly found: string;
  /** What to do, where something is to be done. */
  readonly next?: string;
}

export interface Diagnosis {
  readonly schema: 1;
  /** What the quickstart makes here; "none": it shows a preview instead. */
  readonly site: SiteKind | "none";
  readonly kinds: readonly KindVerdict[];
  readonly checks: readonly Check[];
  /** Tools that will be fetched or built, in the order in which they are. */
  readonly tools: readonly ToGet[];
  /** Seconds until the quickstart's summary, about. */
  readonly seconds: number;
}

export interface ToGet {
  readonly name: string;
  readonly version: string;
  readonly how: "download" | "build";
  readonly seconds: number;
}

/** What this machine can be, and what would stop the run. */
export function judge(look: Look): Diagnosis {
  const { checks, tools, seconds } = judgeTools(look);
  return {
    schema: 1,
    site: look.kind,
    kinds: look.kinds,
    checks: [...judgeMachine(look, tools), ...checks],
    tools,
    seconds,
  };
}
