import * as fs from "node:fs";
import * as path from "node:path";
import { endpointPaths } from "./paths";

/** `node dist/tools/policy-endpoints/cli.js`: writes policies/endpoints.json from the schemas of the plugin's kinds. */
const file = path.resolve(__dirname, "../../../policies/endpoints.json");
fs.writeFileSync(file, `${JSON.stringify(endpointPaths(), undefined, 2)}\n`);
console.log(`wrote ${path.relative(process.cwd(), file)}`);
