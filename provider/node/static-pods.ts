import { z } from "zod";
import { text } from "../core/check";
import { UserError, type Context } from "../core/kind";
import { quote } from "../core/quote";
import type { Endpoint } from "../transport/transport";
import { ASK, parseAnswers } from "./answers";
import { repeatable } from "./reach";

/** Pods that a control plane's kubelet runs without any API: inputs of the node, beside kubeadm's own. They hold no secret. */
export const staticPods = z.array(
  z.strictObject({
    /** File name without ".yaml". */
    name: z
      .string()
      .regex(
        /^(?!(etcd|kube-apiserver|kube-controller-manager|kube-scheduler)$)[a-z0-9]([a-z0-9-]*[a-z0-9])?$/,
        "must be a DNS label, and none of kubeadm's own pods",
      ),
    manifest: z.string().min(1),
    /** In place of `manifest` while a cluster is founded on the node. */
    founding: z.string().min(1).optional(),
  }),
);
export type StaticPod = z.output<typeof staticPods>[number];

/** The API's address that the control planes keep among themselves. */
export const virtualIp = z.strictObject({
  address: text(/^\d{1,3}(\.\d{1,3}){3}$/, "an IPv4 address"),
  port: z.int().min(1).max(65_535),
});
export type VirtualIp = z.output<typeof virtualIp>;

interface At {
  readonly name: string;
  readonly endpoint: Endpoint;
}

const MANIFESTS = "/etc/kubernetes/manifests";
/** First line of every file of ours. */
const MARK = "# made by kvmesh";

/**
 * Brings the node's static pods to those that are declared; kubeadm's own are left alone. A file that is as it should be is not touched,
 * so that its pod is not restarted.
 */
export async function placeStaticPods(
  ctx: Context,
  { name: node, endpoint }: At,
  pods: readonly StaticPod[],
  founding = false,
): Promise<void> {
  const place = pods.map(({ name, manifest, founding: special }) => {
    const content = `${MARK}\n${(founding && special) || manifest}`;
    return `place ${quote(name)} ${quote(content)}`;
  });
  const result = await ctx.transport.script(
    endpoint,
    `set -e
mkdir -p ${MANIFESTS}
place() {
  # Beside the folder: the kubelet reads whatever is in it.
  printf '%s' "$2" >"/etc/kubernetes/kvmesh-$1.yaml.new"
  chmod 600 "/etc/kubernetes/kvmesh-$1.yaml.new"
  if cmp -s "/etc/kubernetes/kvmesh-$1.yaml.new" "${MANIFESTS}/$1.yaml"; then rm "/etc/kubernetes/kvmesh-$1.yaml.new"
  else mv "/etc/kubernetes/kvmesh-$1.yaml.new" "${MANIFESTS}/$1.yaml"; echo "$1"; fi
}
for file in ${MANIFESTS}/*.yaml; do
  [ "$(head -n 1 "$file" 2>/dev/null)" = ${quote(MARK)} ] || continue
  case " ${pods.map(({ name }) => name).join(" ")} " in *" $(basename "$file" .yaml) "*) ;; *) rm "$file" ;; esac
done
${place.join("\n")}`,
    repeatable(ctx),
  );
  if (result.code !== 0) {
    throw new UserError(`node ${node}: its static pods can't be placed: ${result.stderr.trim().slice(-300)}`);
  }
  const placed = result.stdout.trim().split("\n").filter(Boolean);
  if (placed.length > 0) ctx.progress(`node ${node}: placed the static pod ${placed.join(", ")}`);
}

/**
 * Refuses an address that somebody answers to already, before a cluster is founded on it: two owners of one address are seen by nobody
 * until traffic goes astray. A host that answers no ping answers ARP all the same.
 */
export async function refuseTakenAddress(ctx: Context, { name, endpoint }: At, vip: VirtualIp): Promise<void> {
  const address = quote(vip.address);
  const result = await ctx.transport.script(
    endpoint,
    `${ASK}
ask own; ip -4 -o addr show to ${address} | awk '{print $2}'
ask route; ip -4 route get ${address} 2>&1
ip neigh flush to ${address} >/dev/null 2>&1
# Anything that asks for the address will do; kubectl is on every node.
kubectl --kubeconfig=/dev/null --server=${quote(`https://${vip.address}:${vip.port}`)} --insecure-skip-tls-verify --token=none --request-timeout=3s get --raw /livez >/dev/null 2>&1
ask neighbour; ip -4 neigh show to ${address}
exit 0`,
    repeatable(ctx),
  );
  const answers = parseAnswers(result.stdout);
  const fail = (found: string, remedy: string): never => {
    throw new UserError(`kubernetes.endpoint.vip.address: ${vip.address} ${found} (seen from ${name}); ${remedy}`);
  };
  const own = answers.get("own") ?? "";
  if (own !== "") {
    fail(
      `is an address of ${name} itself, on ${own}`,
      `give a free one; if it was left by an earlier cluster: ip addr del ${vip.address}/32 dev ${own}`,
    );
  }
  const route = answers.get("route") ?? "";
  if (!/\bdev\b/.test(route) || /\bvia\b/.test(route)) {
    fail(
      "is in no network that the node is part of",
      "give one of the control planes' own network: it is announced by ARP",
    );
  }
  const mac = /\blladdr (\S+)/.exec(answers.get("neighbour") ?? "")?.[1];
  if (mac !== undefined) fail(`is answered by ${mac} already`, "give a free address, or find out whose that is");
}

/** Of a node that leaves: kube-vip takes the address away when it ends in peace, and leaves it when it is killed. */
export async function dropAddress(ctx: Context, { endpoint }: At, { address }: VirtualIp): Promise<void> {
  const found = `ip -4 -o addr show to ${quote(`${address}/32`)}`;
  const script = `${found} | while read -r _ device _ prefix _; do
  case $prefix in ${quote(`${address}/32`)}) ip addr del "$prefix" dev "$device" ;; esac
done
exit 0`;
  await ctx.transport.script(endpoint, script, repeatable(ctx));
}
