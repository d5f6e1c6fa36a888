import { STACK } from "./events";
import { rulesOf, type Changes, type Finding, type Gap, type Reference, type Report, type RuleResult } from "./model";

/** The report of a pull request, with what is not as in the report of its base. */
export function withChanges(report: Report, base: Report): Report {
  const before = new Map(rulesOf(base).map((rule) => [rule.id, rule]));
  const after = new Map(rulesOf(report).map((rule) => [rule.id, rule]));
  const added = <T extends Finding | Gap>(items: (rule: RuleResult) => readonly T[], text: (item: T) => string) =>
    newIn(after, before, items, text);
  const { commit, time, stack } = base.header;
  const known = new Set(base.waivers.entries.map(waiverKey));
  const changes: Changes = {
    base: { commit, time, stack },
    newFailures: added(({ violations }) => violations, foundText),
    fixed: newIn(before, after, ({ violations }) => violations, foundText, isLeft),
    newlyWaived: added(({ waived }) => waived, foundText),
    newlyNotEvaluated: added(
      ({ gaps }) => gaps,
      ({ reason }) => reason,
    ),
    newWaivers: report.waivers.entries.filter((entry) => !known.has(waiverKey(entry))),
    configuration: configurationChanges(report, base),
  };
  return { ...report, changes };
}

/** What is waived, or wasn't judged this time, is not repaired. */
function isLeft({ violations, waived, gaps }: RuleResult, item: Finding | Gap): boolean {
  const same = [...violations, ...waived].some(({ fingerprint }) => fingerprint === item.fingerprint);
  return same || gaps.some(({ subject, urn }) => subject === "" || subject === STACK || urn === item.urn);
}

function foundText({ found }: Finding): string {
  return found;
}

/** Items of `here` that the same rule doesn't have in `there`. */
function newIn<T extends Finding | Gap>(
  here: ReadonlyMap<string, RuleResult>,
  there: ReadonlyMap<string, RuleResult>,
  items: (rule: RuleResult) => readonly T[],
  text: (item: T) => string,
  isThere: (rule: RuleResult, item: T) => boolean = (rule, item) =>
    items(rule).some(({ fingerprint }) => fingerprint === item.fingerprint),
): Reference[] {
  return [...here.values()].flatMap((rule) => {
    const other = there.get(rule.id);
    return items(rule)
      .filter((item) => other === undefined || !isThere(other, item))
      .map((item) => ({
        rule: rule.id,
        subject: item.subject === "" ? "the rule as a whole" : item.subject,
        fingerprint: item.fingerprint,
        text: text(item),
      }));
  });
}

function waiverKey({ rule, resource, expires, owner }: Report["waivers"]["entries"][number]): string {
  return [rule, resource, expires, owner].join("\0");
}

/** A pull request that changes the judge is to be read with that in mind. */
function configurationChanges({ header, waivers }: Report, base: Report): string[] {
  const { pack, packConfig, environment, cliVersion } = base.header;
  const said: string[] = [];
  if (header.pack.digest !== pack.digest) said.push("the policy pack's code is not the base's");
  if (header.packConfig.digest !== packConfig.digest) said.push("the pack's configuration is not the base's");
  if (header.environment !== environment) said.push(`environment: ${environment} → ${header.environment}`);
  if (header.cliVersion !== cliVersion) said.push(`Pulumi CLI: ${cliVersion} → ${header.cliVersion}`);
  if (waivers.digest !== base.waivers.digest) said.push("the file of waivers is not the base's");
  return said;
}
