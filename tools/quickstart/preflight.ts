import { judge } from "../doctor/judge";
import { look } from "../doctor/look";
import { conclusion, hanging } from "../doctor/text";
import { QuickstartError } from "./errors";
import { stackFileIn } from "./existing-file";

/**
 * What `npm run doctor` says, in the quickstart's first seconds: one line when all is well, else what is in the way.
 * @throws QuickstartError before anything is built or changed, when something is known to stop the run
 */
export async function preflight(checkout: string, say: (line: string) => void): Promise<void> {
  stackFileIn(checkout);
  const diagnosis = judge(await look());
  const width = process.stdout.columns || 100;
  for (const { verdict, name, found, next } of diagnosis.checks) {
    if (verdict !== "warn") continue;
    for (const line of hanging(`! ${name}: `, next === undefined ? found : `${found}; ${next}`, width)) say(line);
  }
  const stops = diagnosis.checks.filter(({ verdict }) => verdict === "fail");
  if (stops.length === 0) {
    say(conclusion(diagnosis).replace("`npm run quickstart` makes", "This makes"));
    return;
  }
  const lines = stops.flatMap(({ name, found, next }) => [
    ...hanging(`  ${name}: `, found, width),
    ...(next === undefined ? [] : hanging("    → ", next, width)),
  ]);
  throw new QuickstartError(`the quickstart can't run here; nothing was begun:\n${lines.join("\n")}`);
}
