import * as path from "node:path";
import { cacheDir, checkoutRoot } from "../toolchain/cache";

export { cacheDir };

/** The scripts that run inside namespaces and roots; they stand in the checkout, beside their callers' source. */
export function scriptsDir(): string {
  return path.join(checkoutRoot(), "tools/site/scripts");
}
