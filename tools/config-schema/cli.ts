import * as fs from "node:fs";
import * as path from "node:path";
import { withKeyTables } from "../../config/key-tables";
import { stackFileSchema } from "../../config/stack-file-schema";

/** `npm run schema`: writes config/schema.json, which editors read, and the key tables of docs/configuration.md. */
const root = path.resolve(__dirname, "../../..");

function write(file: string, text: string): void {
  fs.writeFileSync(path.join(root, file), text);
  console.log(`wrote ${file}`);
}

write("config/schema.json", `${JSON.stringify(stackFileSchema(), undefined, 2)}\n`);
const docs = "docs/configuration.md";
write(docs, withKeyTables(fs.readFileSync(path.join(root, docs), "utf8")));
