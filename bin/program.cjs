// What Pulumi starts: the SDK made lean, then the compiled program. Why, and what it saves: docs/decisions/0087.
"use strict";
require("./compile-cache.cjs");
const nodeModule = require("node:module");

loadLater("@npmcli/arborist");
const pulumi = require("@pulumi/pulumi");

// Pulumi's runner would map stack traces, which takes it long or for ever: docs/decisions/0071.
Reflect.deleteProperty(Error, "prepareStackTrace");

if (process.env.KVMESH_DEBUG_SDK === undefined) {
  // The SDK takes a trace of each of some fifty promises a resource, and sends the engine three debug messages a resource.
  Error.stackTraceLimit = 3;
  pulumi.log.debug = () => Promise.resolve();
}

module.exports = require("../dist/index.js");

/** The SDK reads packages with it when it serializes functions. No program of ours does; if one did, it would be loaded then. */
function loadLater(name) {
  const file = require.resolve(name, { paths: [require.resolve("@pulumi/pulumi")] });
  const later = new nodeModule(file, module);
  later.filename = file;
  later.loaded = true;
  later.exports = new Proxy(
    { __esModule: true },
    {
      get(known, property) {
        if (property in known) return known[property];
        delete require.cache[file];
        return require(file)[property];
      },
    },
  );
  require.cache[file] = later;
}
