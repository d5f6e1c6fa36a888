import * as fs from "node:fs";
import * as path from "node:path";
import { describeCommand, parseLine } from "../../command/parse";
import { runCommand } from "../../command/end";
import { withKeyTables } from "../../config/key-tables";
import { stackFileSchema } from "../../config/stack-file-schema";
import { checkoutRoot } from "../toolchain/cache";

const WHAT = "Writes config/schema.json, which editors read, and the key tables of docs/configuration.md.";

function write(file: string, text: string): void {
  fs.writeFileSync(path.join(checkoutRoot(), file), text);
  console.log(`wrote ${file}`);
}

runCommand(() => {
  const command = describeCommand({ start: "npm run schema --", what: WHAT, example: "" });
  if (!parseLine(command, process.argv.slice(2))) return 0;
  write("config/schema.json", `${JSON.stringify(stackFileSchema(), undefined, 2)}\n`);
  const docs = "docs/configuration.md";
  write(docs, withKeyTables(fs.readFileSync(path.join(checkoutRoot(), docs), "utf8")));
  return 0;
});
