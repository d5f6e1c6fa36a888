import * as path from "node:path";
import { runWithReport } from "../../report/run";
import { pulumiEnv } from "../toolchain";
import { openSession, pulumi, type Places } from "./session";

/** Where no site can be made: the staging stack's plan with the policies' verdicts, which need no host at all. */
export async function offlinePreview(
  reasons: readonly string[],
  places: Places,
  say: (line: string) => void,
): Promise<number> {
  say("No cluster can be made on this computer:");
  for (const reason of reasons) say(`  ${reason}`);
  say("\nInstead: what would be made for the stack `staging`, and what the policies say of it.");
  const env = await pulumiEnv((line) => say(`  ${line}`), { home: path.join(places.data, "pulumi-home") });
  const session = openSession(places.data, env);
  const selected = await pulumi(session, places.checkout, ["stack", "select", "staging", "--create"], false);
  if (selected.code !== 0) return selected.code;
  const { exitCode, files } = await runWithReport({
    kind: "preview",
    stack: "staging",
    cwd: places.checkout,
    out: session.reportFolder,
    env: session.env,
    say,
  });
  say(`\nPolicy report: ${files.html}`);
  return exitCode;
}
