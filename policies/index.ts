import { PolicyPack } from "@pulumi/policy";
import { environmentOf } from "./environment";
import { PACK_NAME, policiesFor } from "./pack";
import { runOf } from "./run";
import { supportStaleness } from "./support";

// A waiver that doesn't hold is said at once: what it was to cover blocks.
for (const { where, text } of runOf().waivers.findings) console.error(`waiver ${where}: ${text}`);

const stale = supportStaleness(runOf().now);
if (stale !== undefined) console.error(stale);

// The only place that starts a policy server; everything else can be imported without one.
new PolicyPack(PACK_NAME, { policies: policiesFor(environmentOf(process.env)), enforcementLevel: "mandatory" });
