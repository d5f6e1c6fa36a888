import { checkoutRoot } from "../toolchain";
import { dataDir, SiteError } from "../site";
import { bringUp } from "./bring-up";
import { parseOptions, usage } from "./options";
import { QuickstartError } from "./errors";
import { printEnvironment, takeDown } from "./take-down";

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  const places = { checkout: checkoutRoot(), data: dataDir() };
  switch (options.action) {
    case "help":
      say(usage);
      return 0;
    case "env":
      await printEnvironment(places, say);
      return 0;
    case "destroy":
      await takeDown(places, say);
      return 0;
    case "up":
      return bringUp(options, places, say);
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const forPeople = error instanceof QuickstartError || error instanceof SiteError;
    const message =
      error instanceof Error ? (forPeople ? error.message : (error.stack ?? error.message)) : String(error);
    process.stderr.write(`\nkvmesh: ${message}\n`);
    process.exitCode = 1;
  },
);
