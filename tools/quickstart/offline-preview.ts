import * as fs from "node:fs";
import * as path from "node:path";
import { runWithReport } from "../../report/run";
import { pulumiEnv } from "../toolchain";
import { openSession, pulumi, type Places } from "./session";

const stackFile = "Pulumi.staging.yaml";

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
  // Making a stack writes the passphrase's salt into its file: the checkout's own stays as it is.
  const copy = path.join(places.data, "offline");
  fs.rmSync(copy, { recursive: true, force: true });
  fs.mkdirSync(copy, { recursive: true });
  for (const file of ["Pulumi.yaml", stackFile])
    fs.copyFileSync(path.join(places.checkout, file), path.join(copy, file));
  const selected = await pulumi(session, copy, ["stack", "select", "staging", "--create"], false);
  if (selected.code !== 0) return selected.code;
  const { exitCode, files } = await runWithReport({
    kind: "preview",
    stack: "staging",
    cwd: places.checkout,
    out: session.reportFolder,
    env: session.env,
    args: ["--config-file", path.join(copy, stackFile)],
    say,
  });
  say(`\nPolicy report: ${files.html}`);
  return exitCode;
}
