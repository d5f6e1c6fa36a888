import { z } from "zod";
import { endpoint, owner, text } from "../core/check";
import { exactVersion, nodeName, preflightChecks } from "../node/inputs";
import { staticPods, virtualIp } from "../node/static-pods";

export const clusterArgs = z.strictObject({
  owner,
  apiEndpoint: text(/^[A-Za-z0-9[][A-Za-z0-9.:\]-]*:\d+$/, 'host and port of the API, "10.0.0.10:6443"'),
  kubernetesVersion: exactVersion,
  /** kubeadm's documents for the cluster as a whole: ClusterConfiguration, KubeletConfiguration, KubeProxyConfiguration. */
  config: z.string().min(1),
  /** Where the cluster lives or, before it does, the first is where it is founded. */
  controlPlanes: z
    .array(
      z.strictObject({
        name: nodeName,
        endpoint,
        /** kubeadm's InitConfiguration, for a founding on this machine. */
        config: z.string().min(1),
      }),
    )
    .min(1),
  /** Of the control plane that the cluster is founded on; its node keeps them afterwards. */
  staticPods: staticPods.optional(),
  /** Asked for on the network before the cluster is founded. */
  virtualIp: virtualIp.optional(),
  ignorePreflightErrors: preflightChecks,
  timeoutSeconds: z.number().positive().default(600),
});

export type ClusterInputs = z.output<typeof clusterArgs>;
export type ControlPlaneMachine = ClusterInputs["controlPlanes"][number];

export interface ClusterOutputs {
  /** Random, made at the founding; the mark of every node carries it. */
  readonly clusterId: string;
  readonly kubeconfig: string;
  readonly caCertHash: string;
}
