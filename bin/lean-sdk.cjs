// Makes Pulumi's SDK cheap to load and to declare resources with. Required first by the program and by the policy pack; docs/decisions/0087.
"use strict";
require("./compile-cache.cjs");
const nodeModule = require("node:module");

// Both are only for functions that are serialized into resources.
loadLater("@npmcli/arborist");
loadLater("@pulumi/pulumi/typescript-shim");
const pulumi = require("@pulumi/pulumi");

// Pulumi's runners would map stack traces, which takes it long or for ever: docs/decisions/0071.
Reflect.deleteProperty(Error, "prepareStackTrace");

if (process.env.KVMESH_DEBUG_SDK === undefined) {
  // The SDK sends the engine three debug messages a resource, and takes a trace of each of some fifty promises a resource.
  pulumi.log.debug = () => Promise.resolve();
  // No person has to read a trace of ours; who looks for a fault sets KVMESH_DEBUG (docs/commands.md).
  Error.stackTraceLimit = process.env.KVMESH_DEBUG ? 10 : 0;
  const debuggable = require("@pulumi/pulumi/runtime/debuggable");
  debuggable.debuggablePromise = withoutTraces(debuggable.debuggablePromise);
}

/** The same function; errors that are made while it runs have no trace. */
function withoutTraces(call) {
  return (...args) => {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    try {
      return call(...args);
    } finally {
      Error.stackTraceLimit = limit;
    }
  };
}

/** A module that the SDK requires when it starts, and that is loaded when something of it is first used. */
function loadLater(name) {
  const file = require.resolve(name, { paths: [require.resolve("@pulumi/pulumi")] });
  if (require.cache[file]) return;
  const later = new nodeModule(file, module);
  later.filename = file;
  later.loaded = true;
  // As it is asked for by `import * as`, which copies a module without this mark.
  const known = { __esModule: true };
  later.exports = new Proxy(known, {
    get(_, property) {
      if (property in known) return known[property];
      if (require.cache[file] === later) delete require.cache[file];
      return require(file)[property];
    },
  });
  require.cache[file] = later;
}
