import { parseAllDocuments } from "yaml";
import { differences } from "../core/diff";

/** What kubeadm uses only while it runs: changing it changes nothing on a node that is there. */
const RUN_TIME_ONLY = [
  /^(Init|Join)Configuration\.timeouts\b/,
  /^InitConfiguration\.bootstrapTokens\b/,
  /^(Init|Join)Configuration\.nodeRegistration\.(imagePullPolicy|imagePullSerial|ignorePreflightErrors)\b/,
  /^ClusterConfiguration\.apiServer\.timeoutForControlPlane\b/,
  /^JoinConfiguration\.discovery\b/,
];

/** The version has an input of its own, and what it means to change that is told there. */
const TOLD_ELSEWHERE = /^(ClusterConfiguration\.kubernetesVersion|\w+\.apiVersion)$/;

/** Paths ("ClusterConfiguration.networking.podSubnet") in which two kubeadm configurations differ on the node itself. */
export function lastingChanges(before: string, after: string): string[] {
  const [a, b] = [documentsByKind(before), documentsByKind(after)];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .sort()
    .flatMap((kind) => differences(kind, a[kind], b[kind]))
    .filter((path) => !TOLD_ELSEWHERE.test(path) && !RUN_TIME_ONLY.some((pattern) => pattern.test(path)));
}

function documentsByKind(text: string): Record<string, unknown> {
  return Object.fromEntries(
    parseAllDocuments(text).map((document) => {
      const value = document.toJS() as { kind?: string } | null;
      return [value?.kind ?? "?", value];
    }),
  );
}
