// What Pulumi starts: the compiled program, with a lean SDK.
"use strict";
require("./lean-sdk.cjs");
module.exports = require("../dist/index.js");
