// Starts a compiled program under Pulumi, with a lean SDK; refused when it is not compiled, or older than its sources.
"use strict";
require("./lean-sdk.cjs");
const { RunError } = require("@pulumi/pulumi");
const { refusalOf } = require("./ensure-built.cjs");

/** `program`: module below dist/; `rooms`: folders and files of the checkout that it is made of. */
module.exports = (program, rooms) => {
  const refusal = refusalOf(rooms);
  if (refusal !== undefined) throw new RunError(refusal);
  return require(`../dist/${program}`);
};
