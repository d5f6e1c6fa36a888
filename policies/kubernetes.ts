import { parseAllDocuments } from "yaml";
import { ofType, resourcePolicy, stackPolicy, subjectOf, type Judge, type Judged } from "./frame";
import { at, entries, list, number, text } from "./read";
import { judgedOn, unsupported } from "./support";

const CLUSTER = "kvmesh:index:Cluster";
const NODE = "kvmesh:index:ClusterNode";

export const controlPlaneHa = stackPolicy("control-plane-ha", function* (resources, context) {
  const planes = ofType(resources, NODE).filter(({ props }) => text(at(props, "role")) === "control-plane");
  if (planes.length === 0) context.notApplicable("the stack has no control plane");
  const names = planes.map((plane) => text(at(plane.props, "name")) ?? plane.name);
  const subject = `control plane (${names.join(", ")})`;
  if (planes.length < 3 || planes.length % 2 === 0) {
    yield { subject, found: `${planes.length} machine${planes.length === 1 ? "" : "s"}`, required: "3, 5 or 7" };
    return;
  }
  const hosts = hostsOfMachines(resources);
  const perHost = new Map<string, string[]>();
  for (const name of names) {
    // A machine that no Domain of the stack makes is one of its own.
    const host = hosts.get(name) ?? `machine ${name}`;
    perHost.set(host, [...(perHost.get(host) ?? []), name]);
  }
  const tolerated = (planes.length - 1) / 2;
  for (const [host, machines] of perHost) {
    if (machines.length <= tolerated) continue;
    yield {
      subject,
      found: `${machines.join(", ")} on host ${host}: without it, ${planes.length - machines.length} of ${planes.length} remain`,
      required: `at most ${tolerated} on a host`,
      remedy: "Spread the control planes over more hosts.",
    };
  }
});

/** Machine name → address of the host it is carved from. */
function hostsOfMachines(resources: readonly Judged[]): ReadonlyMap<string, string> {
  return new Map(
    ofType(resources, "kvmesh:index:Domain").map(({ props, name }) => [
      text(at(props, "name")) ?? name,
      text(at(props, "host", "address")) ?? "?",
    ]),
  );
}

export const statefulProtected = resourcePolicy("stateful-protected", {
  *[CLUSTER](cluster) {
    if (cluster.protect) return;
    yield { subject: subjectOf(cluster), found: "protect is not set", required: "protect: true" };
  },
  *[NODE](node, context) {
    if (text(at(node.props, "role")) !== "control-plane") context.notApplicable("a worker holds no data");
    if (node.protect) return;
    yield { subject: subjectOf(node), found: "protect is not set", required: "protect: true" };
  },
});

const maintained: Judge = (node, context) =>
  unsupported("kubernetes", node, text(at(node.props, "kubernetesVersion")), context);

export const kubernetesSupported = resourcePolicy(
  "kubernetes-supported",
  { [CLUSTER]: maintained, [NODE]: maintained, "kvmesh:index:NodeRuntime": maintained },
  judgedOn,
);

export const kubeconfigSecret = resourcePolicy("kubeconfig-secret", {
  *[CLUSTER](cluster) {
    if (cluster.additionalSecretOutputs.includes("kubeconfig")) return;
    yield {
      subject: subjectOf(cluster),
      found: "output kubeconfig is not marked secret",
      required: "additionalSecretOutputs with kubeconfig",
    };
  },
});

export const authzNodeRbac = resourcePolicy("authz-node-rbac", {
  *[CLUSTER](cluster) {
    const documents = configDocuments(cluster);
    const settings = documents.find((document) => at(document, "kind") === "ClusterConfiguration");
    const modes = extraArg(at(settings, "apiServer", "extraArgs"), "authorization-mode") ?? "Node,RBAC";
    if ([...modes.split(",")].sort().join() !== "Node,RBAC") {
      yield { subject: subjectOf(cluster), found: `authorization-mode ${modes}`, required: "Node,RBAC" };
    }
    const kubelet = documents.find((document) => at(document, "kind") === "KubeletConfiguration");
    const mode = text(at(kubelet, "authorization", "mode")) ?? "Webhook";
    if (mode !== "Webhook") {
      yield { subject: subjectOf(cluster), found: `kubelet authorization mode ${mode}`, required: "Webhook" };
    }
  },
});

/** kubeadm's own defaults are the hardened values, so only what is given can weaken them. */
export const kubeletHardened = resourcePolicy("kubelet-hardened", {
  *[CLUSTER](cluster) {
    const kubelet = configDocuments(cluster).find((document) => at(document, "kind") === "KubeletConfiguration");
    const port = number(at(kubelet, "readOnlyPort")) ?? 0;
    if (port !== 0) {
      yield { subject: subjectOf(cluster), found: `readOnlyPort ${port}`, required: "readOnlyPort 0" };
    }
    if (at(kubelet, "rotateCertificates") === false) {
      yield { subject: subjectOf(cluster), found: "rotateCertificates false", required: "rotateCertificates true" };
    }
  },
});

function configDocuments(cluster: Judged): readonly unknown[] {
  return parseAllDocuments(text(at(cluster.props, "config")) ?? "").map((document) => document.toJS() as unknown);
}

/** extraArgs is a map up to kubeadm v1beta3 and a list of { name, value } from v1beta4 on. */
function extraArg(extraArgs: unknown, name: string): string | undefined {
  const pair = list(extraArgs).find((argument) => at(argument, "name") === name);
  return text(at(pair, "value")) ?? text(entries(extraArgs).find(([key]) => key === name)?.[1]);
}
