import { parseDocument, type Document } from "yaml";
import { UserError, type Context } from "../core/kind";
import { quote } from "../core/quote";
import { lockHeld, type Lock } from "../membership/lock";
import type { WayIn } from "../membership/ways-in";
import { ADMIN_CONF, LOCAL_KUBECTL } from "../node/paths";
import type { ClusterNodeInputs } from "./schema";

/** What lets one machine join once. Made for it on a control plane, never in state, never in arguments. */
export interface Credentials {
  readonly token: string;
  /** For a control plane: decrypts the certificates that were uploaded with it. */
  readonly certificateKey?: string;
}

/**
 * A watcher stays on the control plane that makes them: it removes the token and the uploaded certificates once the node is known to the
 * cluster, whether this run still lives or not. What joins by then has certificates of its own.
 */
export async function makeCredentials(
  ctx: Context,
  via: WayIn,
  inputs: ClusterNodeInputs,
  lock: Lock | undefined,
): Promise<Credentials> {
  const seconds = Math.ceil(inputs.timeoutSeconds) + 120;
  const result = await ctx.transport.script(
    via.endpoint,
    `export LC_ALL=C
${lock === undefined ? "" : `${lockHeld(lock)} || { echo "the cluster's lock is another's now; run again" >&2; exit 1; }`}
${inputs.role === "control-plane" ? uploadScript(inputs) : ""}
token=$(kubeadm token create --kubeconfig ${ADMIN_CONF} --ttl ${Math.ceil(seconds / 60)}m --description 'kvmesh: ${inputs.name} joins') || exit 1
printf '%s\\n' "$token"
id=\${token%%.*}
setsid sh -c ${quote(watchScript(inputs, seconds))} watch "$id" >/dev/null 2>&1 </dev/null &`,
    { timeoutMs: 120_000, signal: ctx.signal },
  );
  const token = /^([a-z0-9]{6}\.[a-z0-9]{16})$/m.exec(result.stdout)?.[1];
  const certificateKey = /^([0-9a-f]{64})$/m.exec(result.stdout)?.[1];
  if (result.code !== 0 || token === undefined || (inputs.role === "control-plane" && certificateKey === undefined)) {
    throw new UserError(
      `node ${inputs.name}: the control plane ${via.name} (${via.endpoint.address}) made no join token: ${result.stderr.trim().slice(-400)}`,
    );
  }
  return { token, certificateKey };
}

/** What upload-certs has to know comes from the cluster itself: the founder, and what was written there, may be gone. */
function uploadScript({ name, config }: ClusterNodeInputs): string {
  const socket = documentsOf(config).find(isJoin)?.getIn(["nodeRegistration", "criSocket"]);
  const registration = { name, ...(typeof socket === "string" ? { criSocket: socket } : {}) };
  return `umask 077; file=$(mktemp) || exit 1
${LOCAL_KUBECTL} -n kube-system get configmap kubeadm-config -o 'jsonpath={.data.ClusterConfiguration}' >"$file" || { rm -f "$file"; exit 1; }
api=$(sed -n 's/^apiVersion: *//p' "$file" | head -n 1)
printf '\\n---\\napiVersion: %s\\nkind: InitConfiguration\\nnodeRegistration: %s\\n' "$api" ${quote(JSON.stringify(registration))} >>"$file"
kubeadm init phase upload-certs --upload-certs --config "$file" --kubeconfig ${ADMIN_CONF}; code=$?
rm -f "$file"; [ $code -eq 0 ] || exit 1`;
}

function watchScript({ name, role }: ClusterNodeInputs, seconds: number): string {
  const certificates =
    role === "control-plane" ? `\n${LOCAL_KUBECTL} -n kube-system delete secret kubeadm-certs --ignore-not-found` : "";
  return `end=$(($(date +%s) + ${seconds}))
while [ "$(date +%s)" -lt $end ] && [ -z "$(${LOCAL_KUBECTL} get node ${name} --ignore-not-found -o name)" ] &&
  [ -n "$(${LOCAL_KUBECTL} -n kube-system get secret "bootstrap-token-$1" --ignore-not-found -o name)" ]; do sleep 3; done
kubeadm token delete --kubeconfig ${ADMIN_CONF} "$1"${certificates}`;
}

/** A token that was used, or never will be, is worth nothing to us and something to others. Its id is no secret. */
export async function removeToken(ctx: Context, via: WayIn, { token }: Credentials): Promise<void> {
  await ctx.transport.script(via.endpoint, `kubeadm token delete --kubeconfig ${ADMIN_CONF} ${token.split(".")[0]}`, {
    timeoutMs: 60_000,
    idempotent: true,
    // Also after Ctrl-C, which ends everything else.
    signal: new AbortController().signal,
  });
}

/** JoinConfiguration with its discovery section and, for a control plane, the certificate key; the other documents stay. */
export function completeJoin(
  inputs: Pick<ClusterNodeInputs, "name" | "role" | "config" | "apiEndpoint" | "caCertHash">,
  credentials: Credentials,
): string {
  const documents = documentsOf(inputs.config);
  const join = documents.find(isJoin);
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

/** IPv4 address that a control plane tells the others, and so its etcd's peer URL; undefined: not said. */
export function advertisedAddress(config: string): string | undefined {
  const address = documentsOf(config).find(isJoin)?.getIn(["controlPlane", "localAPIEndpoint", "advertiseAddress"]);
  return typeof address === "string" ? address : undefined;
}

function documentsOf(config: string): Document[] {
  return config.split(/^---\s*$/m).map((text) => parseDocument(text));
}

function isJoin(document: Document): boolean {
  return document.get("kind") === "JoinConfiguration";
}
