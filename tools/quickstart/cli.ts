import { runCommand } from "../../command/end";
import { checkoutRoot } from "../toolchain";
import { dataDir } from "../site";
import { bringUp } from "./bring-up";
import { asRun } from "./lifecycle";
import { parseOptions } from "./options";
import { preflight } from "./preflight";
import { takeDown } from "./take-down";

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

runCommand(async () => {
  const options = parseOptions(process.argv.slice(2));
  if (!options) return 0;
  const places = { checkout: checkoutRoot(), data: dataDir() };
  if (options.action === "up") {
    await preflight(places.checkout, say);
    return asRun("up", places, say, () => bringUp(options, places, say));
  }
  await asRun("destroy", places, say, () => takeDown(places, say));
  return 0;
});
