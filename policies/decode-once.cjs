// The SDK decodes a resource's properties anew for every policy; ours only read them. docs/decisions/0160.
"use strict";
const sdk = require("@pulumi/policy/deserialize");

const decode = sdk.deserializeProperties;
const decoded = new WeakMap();

/** The same properties for the same message; remediations, which change them, get their own. */
sdk.deserializeProperties = (properties, proxySecrets) => {
  if (proxySecrets) return decode(properties, proxySecrets);
  let known = decoded.get(properties);
  if (known === undefined) {
    known = decode(properties, false);
    decoded.set(properties, known);
  }
  return known;
};
