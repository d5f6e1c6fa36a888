import { z } from "zod";
import { endpoint, owner } from "../core/check";
import { exactVersion, identity, nodeName } from "../node/inputs";

export const controlPlaneArgs = z.strictObject({
  endpoint,
  owner,
  name: nodeName,
  kubernetesVersion: exactVersion,
  config: z.string().min(1),
  ignorePreflightErrors: z
    .array(z.string().regex(/^[A-Za-z0-9_-]+$/, "must be the name of a preflight check"))
    .default([]),
  timeoutSeconds: z.number().positive().default(600),
  identity,
});

export type ControlPlaneInputs = z.output<typeof controlPlaneArgs>;

export interface ControlPlaneOutputs {
  readonly kubeconfig: string;
  readonly caCertHash: string;
}
