// What Pulumi's policy runner loads: the compiled pack, refused when it is older than its sources.
"use strict";
require("../bin/lean-sdk.cjs");
require("../bin/ensure-built.cjs").ensureBuilt(["policies"]);
require("./decode-once.cjs");
require("../dist/policies/index.js");
