import { PolicyPack } from "@pulumi/policy";
import { environmentOf } from "./environment";
import { PACK_NAME, policiesFor } from "./pack";

// The only place that starts a policy server; everything else can be imported without one.
new PolicyPack(PACK_NAME, { policies: policiesFor(environmentOf(process.env)), enforcementLevel: "mandatory" });
