// What Pulumi starts: the compiled program, with a lean SDK; refused when it is not compiled, or older than its sources.
"use strict";
require("./lean-sdk.cjs");
const { RunError } = require("@pulumi/pulumi");
const refusal = require("./ensure-built.cjs").refusalOf(["index.ts", "config", "components", "provider"]);
if (refusal !== undefined) throw new RunError(refusal);
module.exports = require("../dist/index.js");
