import * as fs from "node:fs";
import * as path from "node:path";
import { stackFileSchema } from "../../config/schema";

/** `npm run schema`: writes config/schema.json, which editors read, from the schema that the parser reads with. */
const file = path.resolve(__dirname, "../../../config/schema.json");
fs.writeFileSync(file, `${JSON.stringify(stackFileSchema(), undefined, 2)}\n`);
console.log(`wrote ${path.relative(process.cwd(), file)}`);
