import { ConfigError } from "../../config";
import { UserError } from "../../provider/core/kind";
import { checkoutRoot } from "../toolchain/cache";
import { factsCommand } from "./command";

factsCommand(process.argv.slice(2), checkoutRoot(), (line) => {
  console.log(line);
}).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const known = error instanceof UserError || error instanceof ConfigError;
    console.error(known ? error.message : error);
    process.exitCode = 2;
  },
);
