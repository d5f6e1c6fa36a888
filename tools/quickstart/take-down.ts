import * as fs from "node:fs";
import * as path from "node:path";
import { quote } from "../../provider/core/quote";
import { siteDown } from "../site";
import { pulumiEnv } from "../toolchain";
import { QuickstartError } from "./errors";
import { Phases } from "./phases";
import { openSession, pulumi, type Places } from "./session";
import { factsFile, stackName } from "./stack-file";

/** `pulumi destroy`, then the site, then the data folder: nothing stays but the cache. */
export async function takeDown(places: Places, say: (line: string) => void): Promise<void> {
  const report = (line: string): void => {
    say(`  ${line}`);
  };
  const phases = new Phases(say);
  const stackFile = path.join(places.checkout, `Pulumi.${stackName}.yaml`);
  if (fs.existsSync(path.join(places.data, "state", ".pulumi"))) {
    const env = await pulumiEnv(report, { home: path.join(places.data, "pulumi-home") });
    const session = openSession(places.data, env);
    const stacks = await pulumi(session, places.checkout, ["stack", "select", stackName], false);
    if (stacks.code === 0) {
      await phases.run("pulumi destroy", async () => {
        const { code } = await pulumi(session, places.checkout, ["destroy", "--yes", "--stack", stackName], true);
        if (code !== 0) {
          throw new QuickstartError(
            `pulumi destroy ended with exit code ${code}; what it says is above. Nothing else was taken down: ` +
              "`npm run quickstart -- --destroy` goes on from here",
          );
        }
      });
      await pulumi(session, places.checkout, ["stack", "rm", "--yes", "--stack", stackName], false);
    }
  }
  await phases.run("site", () => siteDown(report));
  fs.rmSync(places.data, { recursive: true, force: true });
  fs.rmSync(stackFile, { force: true });
  removeWritten(places.checkout);
  say("\nEverything is down. What was downloaded or built stays in the cache.");
}

/** Facts, reports and evidence of the quickstart's stack, and the folders that are empty without them: what other stacks have there stays. */
export function removeWritten(checkout: string): void {
  const folder = path.join(checkout, ".kvmesh");
  const [reports, evidence] = [path.join(folder, "reports"), path.join(folder, "evidence")];
  const ofStack = fs.existsSync(reports)
    ? fs.readdirSync(reports).filter((name) => name.startsWith(`${stackName}-`))
    : [];
  for (const file of [
    path.join(checkout, factsFile),
    path.join(evidence, stackName),
    ...ofStack.map((name) => path.join(reports, name)),
  ])
    fs.rmSync(file, { recursive: true, force: true });
  for (const place of [reports, evidence, folder])
    if (fs.existsSync(place) && fs.readdirSync(place).length === 0) fs.rmdirSync(place);
}

/** Shell commands that set this checkout's tools, backend and kubeconfig; for `eval`. */
export async function printEnvironment(places: Places, say: (line: string) => void): Promise<void> {
  const env = await pulumiEnv((line) => process.stderr.write(`${line}\n`), {
    home: path.join(places.data, "pulumi-home"),
  });
  const { variables } = openSession(places.data, env);
  say(`export PATH=${quote(env.PATH ?? "")}`);
  for (const name of ["PULUMI_SKIP_UPDATE_CHECK", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"]) {
    if (env[name] !== undefined) say(`export ${name}=${quote(env[name])}`);
  }
  for (const [name, value] of Object.entries(variables)) say(`export ${name}=${quote(value)}`);
}
