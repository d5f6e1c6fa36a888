import { runCommand } from "../../command/end";
import { checkoutRoot } from "../toolchain/cache";
import { capacityCommand } from "./command";

runCommand(() =>
  capacityCommand(process.argv.slice(2), checkoutRoot(), {
    out: (text) => {
      console.log(text);
    },
    note: (line) => {
      console.error(line);
    },
  }),
);
