import { PolicyPack } from "@pulumi/policy";
import { environmentOf } from "./environment";
import { PACK_NAME, policiesFor } from "./pack";
import { runOf } from "./run";

// A waiver that doesn't hold is said at once: what it was to cover blocks.
for (const { where, text } of runOf().waivers.findings) console.error(`waiver ${where}: ${text}`);

// The only place that starts a policy server; everything else can be imported without one.
new PolicyPack(PACK_NAME, { policies: policiesFor(environmentOf(process.env)), enforcementLevel: "mandatory" });
