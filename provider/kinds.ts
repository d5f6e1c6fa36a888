import { anyKind } from "./core/kind";
import type { AnyKind } from "./core/kind";
import { blockDeviceKind } from "./blockdevice/kind";
import { coreLeaseKind } from "./corelease/corelease";
import { domainKind } from "./domain/domain";
import { hostKeyKind } from "./hostkey/hostkey";
import { imageKind } from "./image/image";
import { chartKind } from "./chart/kind";
import { controlPlaneKind } from "./controlplane/kind";
import { evidenceKind } from "./evidence/kind";
import { preflightKind } from "./evidence/preflight";
import { machineKind } from "./machine/kind";
import { memberKind } from "./member/kind";
import { networkKind } from "./network/network";
import { nodeRuntimeKind } from "./noderuntime/kind";
import { rosterKind } from "./roster/kind";
import { tenancyKind } from "./tenancy/tenancy";
import { volumeKind } from "./volume/volume";

/** Every resource of the plugin: one folder and one line each. */
export const kinds: readonly AnyKind[] = [
  anyKind(hostKeyKind),
  anyKind(tenancyKind),
  anyKind(imageKind),
  anyKind(volumeKind),
  anyKind(blockDeviceKind),
  anyKind(coreLeaseKind),
  anyKind(networkKind),
  anyKind(domainKind),
  anyKind(machineKind),
  anyKind(preflightKind),
  anyKind(evidenceKind),
  anyKind(nodeRuntimeKind),
  anyKind(controlPlaneKind),
  anyKind(memberKind),
  anyKind(rosterKind),
  anyKind(chartKind),
];
