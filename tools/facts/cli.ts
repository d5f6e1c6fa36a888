import { runCommand } from "../../command/end";
import { checkoutRoot } from "../toolchain/cache";
import { factsCommand } from "./command";

runCommand(() =>
  factsCommand(process.argv.slice(2), checkoutRoot(), (line) => {
    console.log(line);
  }),
);
