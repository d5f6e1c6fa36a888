/** What the quickstart was asked to do. */
export interface Options {
  readonly action: "up" | "destroy" | "env" | "help";
  /** Share of traffic for the new version, 0–100; undefined: 90/10 on the first run, as it is later. */
  readonly canary?: number;
  /** Install what the site needs without asking. */
  readonly yes: boolean;
}

export const usage = `npm run quickstart                     a meshed cluster on this machine, by pulumi up
npm run quickstart -- --yes            the same, without asking before packages are installed
npm run quickstart -- --canary 50      send 50 % of the traffic to the new version, and measure it
npm run quickstart -- --destroy        take everything down again
eval "$(npm run -s env)"               this shell's settings for plain pulumi and kubectl commands`;

/** Reads the command line; throws an Error whose message says what was found and what is possible. */
export function parseOptions(args: readonly string[]): Options {
  let action: Options["action"] = "up";
  let canary: number | undefined;
  let yes = false;
  for (let i = 0; i < args.length; i += 1) {
    const arg = args[i]!;
    if (arg === "--yes" || arg === "-y") yes = true;
    else if (arg === "--destroy") action = "destroy";
    else if (arg === "env") action = "env";
    else if (arg === "--help" || arg === "-h") action = "help";
    else if (arg === "--canary" || arg.startsWith("--canary=")) {
      const text = arg.includes("=") ? arg.slice("--canary=".length) : args[(i += 1)];
      if (text === undefined || !/^\d{1,3}$/.test(text) || Number(text) > 100) {
        throw new Error(
          `--canary takes a whole number from 0 to 100, not ${text === undefined ? "nothing" : JSON.stringify(text)}`,
        );
      }
      canary = Number(text);
    } else {
      throw new Error(`unknown option ${JSON.stringify(arg)}\n\n${usage}`);
    }
  }
  if (action === "destroy" && canary !== undefined) throw new Error("--canary and --destroy don't go together");
  return { action, canary, yes };
}
