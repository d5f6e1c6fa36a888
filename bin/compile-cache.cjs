// Keeps what V8 compiled of the program, the plugin and the policy pack beside the packages, for the next run (docs/decisions/0087).
// Preloaded by the plugin's launcher; the others require it first.
"use strict";
const nodeModule = require("node:module");
const path = require("node:path");

// Not Node.js's own place below /tmp: who can write there could give our processes other code to run. Node.js 20 has no such cache,
// and where the folder can't be written to nothing is kept: neither is a failure.
nodeModule.enableCompileCache?.(path.resolve(__dirname, "../node_modules/.cache/kvmesh"));
// The engine kills its plugins, so a new cache is written while they run, once they have loaded what a preview needs.
setTimeout(() => nodeModule.flushCompileCache?.(), 3000).unref();
