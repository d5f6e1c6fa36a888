import { ConfigError } from "../../config";
import { UserError } from "../../provider/core/kind";
import { checkoutRoot } from "../toolchain/cache";
import { capacityCommand } from "./command";

try {
  process.exitCode = capacityCommand(process.argv.slice(2), checkoutRoot(), {
    out: (text) => {
      console.log(text);
    },
    note: (line) => {
      console.error(line);
    },
  });
} catch (error) {
  const known = error instanceof UserError || error instanceof ConfigError;
  console.error(known ? error.message : error);
  process.exitCode = 2;
}
