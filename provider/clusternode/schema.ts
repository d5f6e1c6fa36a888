import { z } from "zod";
import { endpoint, owner, text } from "../core/check";
import { staticPods, virtualIp } from "../node/static-pods";
import { caHash, exactVersion, identity, nodeName, preflightChecks } from "../node/inputs";

export const clusterNodeArgs = z.strictObject({
  endpoint,
  owner,
  name: nodeName,
  role: z.enum(["control-plane", "worker"]),
  kubernetesVersion: exactVersion,
  clusterId: z.string().min(1),
  caCertHash: caHash,
  apiEndpoint: text(/^[A-Za-z0-9[][A-Za-z0-9.:\]-]*:\d+$/, 'host and port of the API, "10.0.0.10:6443"'),
  /** All control planes, this one too when it is one: any healthy one is the way in. */
  controlPlanes: z.array(z.strictObject({ name: nodeName, endpoint })).min(1),
  config: z.string().min(1),
  /** Of a control plane, beside kubeadm's own. */
  staticPods: staticPods.optional(),
  /** Taken from the machine when it leaves. */
  virtualIp: virtualIp.optional(),
  ignorePreflightErrors: preflightChecks,
  timeoutSeconds: z.number().positive().default(600),
  identity,
});

export type ClusterNodeInputs = z.output<typeof clusterNodeArgs>;
/** A node's being there is all that there is to know. */
export type ClusterNodeOutputs = object;
