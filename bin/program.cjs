// What Pulumi starts.
"use strict";
module.exports = require("./start.cjs")("index.js", ["index.ts", "config", "components", "provider"]);
