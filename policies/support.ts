import {
  isNextMinor,
  maintainedMinors,
  minorOf,
  staleness,
  supportProblem,
  today,
  versionData,
  type Project,
} from "../rules/versions";
import { subjectOf, type Context, type Finding, type Judged } from "./frame";
import { at, text } from "./read";

/** The setting of both rules: with it a verdict of an old run comes out again as it was. */
export const judgedOn = {
  settings: {
    today: { type: "string" as const, description: "The day to judge by, such as 2026-11-28; default: the clock's." },
  },
};

/** Yields a finding when a project's version has no fixes on the day of the judgement. */
export function* unsupported(
  project: Project,
  resource: Judged,
  version: string | undefined,
  context: Context,
): Iterable<Finding> {
  const on = text(at(context.settings, "today")) ?? today();
  const problem = supportProblem(project, version ?? "", on);
  if (problem === undefined) {
    if (version !== undefined && isNextMinor(project, minorOf(version))) {
      context.notApplicable(`${version} is newer than what was known on ${versionData.asOf}`);
    }
    return;
  }
  const old = staleness(on);
  yield {
    subject: subjectOf(resource),
    found: problem,
    required: `one of ${maintainedMinors(project, on).join(", ")} (maintained on ${on})${old === undefined ? "" : `; ${old}`}`,
  };
}
