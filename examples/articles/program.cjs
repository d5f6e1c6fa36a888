// What Pulumi starts.
"use strict";
module.exports = require("../../bin/start.cjs")("examples/articles/index.js", [
  "examples/articles",
  "config",
  "components",
  "provider",
]);
