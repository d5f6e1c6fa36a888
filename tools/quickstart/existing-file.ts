import * as fs from "node:fs";
import * as path from "node:path";
import { isMap, parseDocument, type Document } from "yaml";
import { UsageError } from "../../command/errors";
import { readYaml } from "../../command/stack-file";
import { stackName } from "./stack-file";

/**
 * The quickstart's stack file as it is, which people edit; undefined: there is none.
 * @throws UsageError where it is nonsense
 */
export function stackFileIn(checkout: string): Document | undefined {
  const name = `Pulumi.${stackName}.yaml`;
  const file = path.join(checkout, name);
  if (!fs.existsSync(file)) return undefined;
  readYaml(checkout, name);
  const document = parseDocument(fs.readFileSync(file, "utf8"));
  const config = document.get("config");
  if (config !== undefined && !isMap(config)) {
    throw new UsageError(
      `${name}: config: a map with keys such as kvmesh:pools is wanted; mend it, or remove the file`,
    );
  }
  return document;
}
