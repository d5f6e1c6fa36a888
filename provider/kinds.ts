import { anyKind } from "./core/kind";
import type { AnyKind } from "./core/kind";
import { blockDeviceKind } from "./blockdevice/kind";
import { coreLeaseKind } from "./corelease/corelease";
import { domainKind } from "./domain/domain";
import { hostKeyKind } from "./hostkey/hostkey";
import { imageKind } from "./image/image";
import { chartKind } from "./chart/kind";
import { clusterKind } from "./cluster/kind";
import { clusterNodeKind } from "./clusternode/kind";
import { clusterReadyKind } from "./clusterready/kind";
import { evidenceKind } from "./evidence/kind";
import { preflightKind } from "./evidence/preflight";
import { machineKind } from "./machine/kind";
import { networkKind } from "./network/network";
import { nodeRuntimeKind } from "./noderuntime/kind";
import { nodeReadyKind } from "./rollout/ready";
import { nodeTurnKind } from "./rollout/turn";
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
  anyKind(clusterKind),
  anyKind(clusterNodeKind),
  anyKind(clusterReadyKind),
  anyKind(nodeTurnKind),
  anyKind(nodeReadyKind),
  anyKind(chartKind),
];
