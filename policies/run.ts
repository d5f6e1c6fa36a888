import * as path from "node:path";
import { catalogue } from "./catalogue";
import { evaluationTime } from "./clock";
import { loadWaivers, type WaiverFile } from "./waivers";

/** What holds for one run of the pack, beside its resources. */
export interface PolicyRun {
  /** The time for which rules are judged. */
  readonly now: Date;
  readonly waivers: WaiverFile;
}

let current: PolicyRun | undefined;

/**
 * The run of this process: by its environment, read when it is first asked for.
 *
 * @throws in words for people when a variable or the file of waivers can't be read.
 */
export function runOf(): PolicyRun {
  current ??= runByEnvironment(process.env);
  return current;
}

export function runByEnvironment(variables: NodeJS.ProcessEnv): PolicyRun {
  const now = evaluationTime(variables);
  // dist/policies → the checkout.
  const checkout = path.resolve(__dirname, "../..");
  return { now, waivers: loadWaivers(variables, checkout, { now, rule: findRule }) };
}

/** For evaluations that name their own time and waivers; gives back what was before. */
export function setRun(run: PolicyRun | undefined): PolicyRun | undefined {
  const before = current;
  current = run;
  return before;
}

export function findRule(id: string) {
  return catalogue.find((rule) => rule.id === id);
}
