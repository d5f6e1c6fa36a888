import { parseDocument } from "yaml";
import { UserError, type Context } from "../core/kind";
import { CONFIG_PATH, ADMIN_CONF } from "../node/paths";
import type { MemberInputs } from "./schema";

/** What lets one machine join once. Made for it on the first control plane, never in state, never in arguments. */
export interface Credentials {
  readonly token: string;
  /** For a control plane: decrypts the certificates that were uploaded with it. */
  readonly certificateKey?: string;
}

export async function makeCredentials(ctx: Context, inputs: MemberInputs): Promise<Credentials> {
  const minutes = Math.ceil(inputs.timeoutSeconds / 60) + 5;
  const upload =
    inputs.role === "control-plane"
      ? `kubeadm init phase upload-certs --upload-certs --config ${CONFIG_PATH} --kubeconfig ${ADMIN_CONF} || exit 1`
      : "";
  const result = await ctx.transport.script(
    inputs.controlPlane,
    `export LC_ALL=C
${upload}
kubeadm token create --kubeconfig ${ADMIN_CONF} --ttl ${minutes}m --description 'kvmesh: ${inputs.name} joins'`,
    { timeoutMs: 120_000, signal: ctx.signal },
  );
  const token = /^([a-z0-9]{6}\.[a-z0-9]{16})$/m.exec(result.stdout)?.[1];
  const certificateKey = /^([0-9a-f]{64})$/m.exec(result.stdout)?.[1];
  if (result.code !== 0 || token === undefined || (inputs.role === "control-plane" && certificateKey === undefined)) {
    throw new UserError(
      `node ${inputs.name}: the control plane at ${inputs.controlPlane.address} made no join token: ${result.stderr.trim().slice(-400)}`,
    );
  }
  return { token, certificateKey };
}

/** A token that was used, or never will be, is worth nothing to us and something to others. Its id is no secret. */
export async function removeToken(ctx: Context, inputs: MemberInputs, { token }: Credentials): Promise<void> {
  await ctx.transport.script(
    inputs.controlPlane,
    `kubeadm token delete --kubeconfig ${ADMIN_CONF} ${token.split(".")[0]}`,
    { timeoutMs: 60_000, idempotent: true },
  );
}

/** JoinConfiguration with its discovery section and, for a control plane, the certificate key; the other documents stay. */
export function completeJoin(
  inputs: Pick<MemberInputs, "name" | "role" | "config" | "apiEndpoint" | "caCertHash">,
  credentials: Credentials,
): string {
  const documents = inputs.config.split(/^---\s*$/m).map((text) => parseDocument(text));
  const join = documents.find((document) => document.get("kind") === "JoinConfiguration");
  if (join === undefined) throw new UserError(`node ${inputs.name}: its config holds no JoinConfiguration`);
  // Beside what may stand there already: v1beta3 keeps its time limit in this section.
  join.setIn(["discovery", "bootstrapToken"], {
    apiServerEndpoint: inputs.apiEndpoint,
    token: credentials.token,
    caCertHashes: [inputs.caCertHash],
  });
  join.setIn(["discovery", "tlsBootstrapToken"], credentials.token);
  if (inputs.role === "control-plane") join.setIn(["controlPlane", "certificateKey"], credentials.certificateKey);
  return documents.map((document) => document.toString()).join("---\n");
}
