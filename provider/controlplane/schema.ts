import { z } from "zod";
import { endpoint, owner } from "../core/check";
import { exactVersion, identity, nodeName, preflightChecks } from "../node/inputs";

export const controlPlaneArgs = z.strictObject({
  endpoint,
  owner,
  name: nodeName,
  kubernetesVersion: exactVersion,
  config: z.string().min(1),
  ignorePreflightErrors: preflightChecks,
  timeoutSeconds: z.number().positive().default(600),
  identity,
});

export type ControlPlaneInputs = z.output<typeof controlPlaneArgs>;

export interface ControlPlaneOutputs {
  readonly kubeconfig: string;
  readonly caCertHash: string;
}
