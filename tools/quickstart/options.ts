import { Option } from "@commander-js/extra-typings";
import { describeCommand, parseLine, type Out } from "../../command/parse";
import { UsageError } from "../../command/errors";

/** What the quickstart was asked to do. */
export interface Options {
  readonly action: "up" | "destroy";
  /** Share of traffic for the new version, 0–100; undefined: 90/10 on the first run, as it is later. */
  readonly canary?: number;
  /** Install what the site needs without asking. */
  readonly yes: boolean;
}

const WHAT = `Makes a meshed cluster on this machine, by \`pulumi up\`, and measures it. Run it again to change or to repair it.
\`npm run doctor\` says before what this machine can be. \`eval "$(npm run -s env)"\` gives a shell pulumi, kubectl and their settings.`;

/** Reads the command line; undefined: help was asked for and shown. */
export function parseOptions(args: readonly string[], out?: Out): Options | undefined {
  const command = describeCommand({
    start: "npm run quickstart --",
    what: WHAT,
    example: "--canary 50",
    codes: { 1: "it is up, and something measured is not as declared" },
  })
    .option("-y, --yes", "do not ask before packages are installed")
    .addOption(new Option("--canary <PERCENT>", "share of the traffic for the new version").argParser(share))
    .option("--destroy", "take everything down again");
  if (!parseLine(command, args, out)) return undefined;
  const { yes = false, canary, destroy } = command.opts();
  if (destroy === true && canary !== undefined) throw new UsageError("--canary and --destroy don't go together");
  return { action: destroy === true ? "destroy" : "up", canary, yes };
}

function share(text: string): number {
  if (!/^\d{1,3}$/.test(text) || Number(text) > 100) {
    throw new UsageError(`--canary takes a whole number from 0 to 100, not ${JSON.stringify(text)}`);
  }
  return Number(text);
}
