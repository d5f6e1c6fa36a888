// What Pulumi's policy runner loads: the compiled pack, refused when it is older than its sources.
"use strict";
require("../bin/compile-cache.cjs");
// Pulumi's runner maps stack traces to its TypeScript sources, and Node.js 20.20 never ends printing such a line
// (docs/decisions/0071): a pack that fails to load would hang the run.
Error.prepareStackTrace = undefined;
require("../bin/ensure-built.cjs").ensureBuilt(["policies"]);
require("../dist/policies/index.js");
