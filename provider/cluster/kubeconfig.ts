import { createHash, X509Certificate } from "node:crypto";
import { parse, stringify } from "yaml";
import { UserError } from "../core/kind";

interface Kubeconfig {
  clusters: { name: string; cluster: { "certificate-authority-data": string; server: string } }[];
  users: { name: string; user: unknown }[];
  contexts: { name: string; context: { cluster: string; user: string } }[];
  "current-context": string;
}

/**
 * kubeadm calls every cluster "kubernetes" and every user "kubernetes-admin"; two such files can't be merged. Cluster and
 * context get the cluster's name, the user `<cluster>-admin`.
 */
export function renameKubeconfig(text: string, clusterName: string, node: string): string {
  const config = parse(text) as Partial<Kubeconfig> | null;
  const [cluster, user, context] = [config?.clusters?.[0], config?.users?.[0], config?.contexts?.[0]];
  if (config === null || cluster === undefined || user === undefined || context === undefined) {
    throw new UserError(
      `node ${node}: admin.conf is no complete kubeconfig; renew it with \`kubeadm init phase kubeconfig admin\``,
    );
  }
  const userName = `${clusterName}-admin`;
  return stringify({
    ...config,
    clusters: [{ ...cluster, name: clusterName }],
    users: [{ ...user, name: userName }],
    contexts: [{ name: clusterName, context: { ...context.context, cluster: clusterName, user: userName } }],
    "current-context": clusterName,
  });
}

/** "sha256:<hex>" of the CA's public key, as `kubeadm join` takes it. */
export function caCertHash(kubeconfig: string): string {
  const config = parse(kubeconfig) as Kubeconfig;
  const pem = Buffer.from(config.clusters[0]?.cluster["certificate-authority-data"] ?? "", "base64");
  const key = new X509Certificate(pem).publicKey.export({ type: "spki", format: "der" });
  return `sha256:${createHash("sha256").update(key).digest("hex")}`;
}
