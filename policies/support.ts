import {
  isNextMinor,
  maintainedMinors,
  minorOf,
  staleness,
  supportProblem,
  versionData,
  type Project,
} from "../rules/versions";
import { dayOf } from "./clock";
import { subjectOf, type Context, type Item, type Judged } from "./frame";
import { at, shown, text } from "./read";

/** The setting of both rules: with it a verdict of an old run comes out again as it was. */
export const judgedOn = {
  settings: {
    today: {
      type: "string" as const,
      description: "The day to judge by, such as 2026-11-28; default: the evaluation's.",
    },
  },
};

/** Yields a finding when a project's version has no fixes on the day of the judgement. */
export function* unsupported(
  project: Project,
  resource: Judged,
  given: string | undefined,
  context: Context,
): Iterable<Item> {
  const on = dayOfJudgement(context);
  const version = given === undefined ? "" : shown(given, /^v?\d[\w.+-]{0,30}$/);
  const subject = subjectOf(resource);
  const problem = supportProblem(project, version, on);
  if (problem !== undefined) {
    const old = staleness(on);
    const maintained = `one of ${maintainedMinors(project, on).join(", ")} (maintained on ${on})`;
    const required = old === undefined ? maintained : `${maintained}; ${old}`;
    yield { subject, found: problem, required };
  } else if (isNextMinor(project, minorOf(version))) {
    yield { subject, unseen: `${version} is newer than what was known on ${versionData.asOf}` };
  }
}

export function dayOfJudgement({ settings, now }: Context): string {
  return text(at(settings, "today")) ?? dayOf(now);
}

/** A sentence when what is known of versions is old for the evaluation's day: a warning of the run and of its report. */
export function supportStaleness(now: Date): string | undefined {
  return staleness(dayOf(now));
}
