import { componentsOf, KubeadmConfig, type Component } from "./components";
import {
  ofType,
  resourcePolicy,
  stackPolicy,
  subjectOf,
  type Finding,
  type Item,
  type Judge,
  type Judged,
} from "./frame";
import { WORKLOADS } from "./objects";
import { at, list, number, text } from "./read";
import { judgedOn, unsupported } from "./support";

const CLUSTER = "kvmesh:index:Cluster";
const NODE = "kvmesh:index:ClusterNode";

export const controlPlaneHa = stackPolicy("control-plane-ha", function* (resources, context) {
  const planes = ofType(resources, NODE).filter(({ props }) => text(at(props, "role")) === "control-plane");
  if (planes.length === 0) context.notApplicable("the stack has no control plane");
  const names = planes.map((plane) => text(at(plane.props, "name")) ?? plane.name);
  const subject = "control plane";
  if (planes.length < 3 || planes.length % 2 === 0) {
    const found = `${planes.length} machine${planes.length === 1 ? "" : "s"} (${names.join(", ")})`;
    yield { subject, found, required: "3, 5 or 7" };
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

/** Finding without the subject. */
type Fault = Pick<Finding, "found" | "required"> | { readonly unseen: string };

interface ComponentJudges {
  readonly apiServer?: (server: Component) => Iterable<Fault>;
  readonly etcd?: (etcd: Component) => Iterable<Fault>;
  readonly kubelet?: (kubelet: Component) => Iterable<Fault>;
  /** Of kubeadm's configuration as a whole, beside flags. */
  readonly config?: (config: KubeadmConfig) => Iterable<Fault>;
}

/** A rule on how components are started, by kubeadm or by anybody else. */
function componentPolicy(id: string, judges: ComponentJudges) {
  const workload: Judge = function* (resource, context) {
    const components = componentsOf(resource).filter(({ name }) => judgeOf(judges, name) !== undefined);
    if (components.length === 0) context.notApplicable("starts no component of the cluster that the rule is about");
    for (const component of components) yield* about(resource, judgeOf(judges, component.name)!(component));
  };
  return resourcePolicy(id, {
    *[CLUSTER](cluster) {
      const config = new KubeadmConfig(cluster);
      if (judges.apiServer) yield* about(cluster, judges.apiServer(config.apiServer()));
      if (judges.etcd) yield* about(cluster, judges.etcd(config.etcd()));
      if (judges.kubelet) yield* about(cluster, judges.kubelet(config.kubelet()));
      if (judges.config) yield* about(cluster, judges.config(config));
    },
    *[NODE](node, context) {
      const { kubelet } = judges;
      if (!kubelet) return context.notApplicable("configured with the cluster");
      yield* about(node, kubelet(new KubeadmConfig(node).kubelet()));
    },
    ...Object.fromEntries(WORKLOADS.map((kind) => [`object:${kind}`, workload])),
  });
}

function judgeOf(judges: ComponentJudges, name: string) {
  if (name === "kube-apiserver") return judges.apiServer;
  return name === "etcd" ? judges.etcd : name === "kubelet" ? judges.kubelet : undefined;
}

function* about(resource: Judged, faults: Iterable<Fault>): Iterable<Item> {
  for (const fault of faults) yield { subject: subjectOf(resource), ...fault };
}

/** kvmesh has no key of the stack file for it yet: what isn't there is no verdict, and no pass. */
const NOT_DECLARED = "kubeadm's default, which can't be declared in a stack file yet";

export const apiAnonymousOff = componentPolicy("api-anonymous-off", {
  *apiServer(server) {
    const value = server.flag("anonymous-auth");
    if (value === "false") return;
    if (server.flag("authentication-config") !== undefined) {
      yield { unseen: "authentication-config names a file, which may allow anonymous requests" };
    } else if (value === undefined && server.by === "kubeadm") {
      yield { unseen: `anonymous-auth is ${NOT_DECLARED}` };
    } else {
      yield { found: `anonymous-auth ${value === undefined ? "not given, which is true" : "on"}`, required: "false" };
    }
  },
  *kubelet(kubelet) {
    const value = kubelet.flag("anonymous-auth");
    const byFile = kubelet.by === "kubeadm" || kubelet.flag("config") !== undefined;
    if (value === "false" || (value === undefined && byFile)) return;
    yield { found: "kubelet anonymous-auth on", required: "anonymous-auth false" };
  },
  *config(config) {
    if (at(config.of("KubeletConfiguration"), "authentication", "anonymous", "enabled") !== true) return;
    yield { found: "kubelet authentication.anonymous.enabled true", required: "false" };
  },
});

export const authzNodeRbac = componentPolicy("authz-node-rbac", {
  *apiServer(server) {
    if (server.flag("authorization-config") !== undefined) {
      yield { unseen: "authorization-config names a file, which may allow anything" };
      return;
    }
    const given = server.flag("authorization-mode");
    const modes = given ?? (server.by === "kubeadm" ? "Node,RBAC" : "AlwaysAllow");
    if ([...modes.split(",")].sort().join() === "Node,RBAC") return;
    const shown = modes.split(",").filter((mode) => AUTHORIZERS.includes(mode));
    yield { found: `authorization-mode ${shown.join(",") || "of another name"}`, required: "Node,RBAC" };
  },
  *kubelet(kubelet) {
    const mode = kubelet.flag("authorization-mode");
    const byFile = kubelet.by === "kubeadm" || kubelet.flag("config") !== undefined;
    if (mode === "Webhook" || (mode === undefined && byFile)) return;
    yield { found: "kubelet authorization mode AlwaysAllow", required: "Webhook" };
  },
  *config(config) {
    const mode = text(at(config.of("KubeletConfiguration"), "authorization", "mode")) ?? "Webhook";
    if (mode !== "Webhook") yield { found: "kubelet authorization mode AlwaysAllow", required: "Webhook" };
  },
});

const AUTHORIZERS = ["Node", "RBAC", "ABAC", "Webhook", "AlwaysAllow", "AlwaysDeny"];

export const secretsEncrypted = componentPolicy("secrets-encrypted-at-rest", {
  *apiServer(server) {
    if (server.flag("encryption-provider-config") !== undefined) return;
    if (server.by === "kubeadm") yield { unseen: `no encryption-provider-config is ${NOT_DECLARED}` };
    else yield { found: "no encryption-provider-config", required: "an encryption provider for secrets" };
  },
});

/** Least values of the CIS benchmark: days, files, megabytes. */
const AUDIT_LEAST = { "audit-log-maxage": 30, "audit-log-maxbackup": 10, "audit-log-maxsize": 100 } as const;

export const auditLog = componentPolicy("audit-log", {
  *apiServer(server) {
    const needed = ["audit-policy-file", "audit-log-path"].filter((flag) => server.flag(flag) === undefined);
    const retention = Object.entries(AUDIT_LEAST);
    const given = [
      ...(needed.length < 2 ? [""] : []),
      ...retention.filter(([flag]) => server.flag(flag) !== undefined),
    ];
    if (server.by === "kubeadm" && given.length === 0) {
      yield { unseen: `no audit log is ${NOT_DECLARED}` };
      return;
    }
    for (const flag of needed) yield { found: `no ${flag}`, required: "an audit policy and a log" };
    for (const [flag, least] of retention) {
      const value = Number(server.flag(flag) ?? "0");
      if (!(value >= least))
        yield { found: `${flag} ${Number.isFinite(value) ? value : "no number"}`, required: `at least ${least}` };
    }
  },
});

const ETCD_FILES = ["cert-file", "key-file", "trusted-ca-file"].flatMap((flag) => [flag, `peer-${flag}`]);

export const etcdTls = componentPolicy("etcd-tls", {
  *etcd(etcd) {
    // kubeadm gives files of its own; only what overrides them can weaken it.
    for (const flag of etcd.by === "command" ? ETCD_FILES : [])
      if (etcd.flag(flag) === undefined)
        yield { found: `etcd without ${flag}`, required: "certificates for clients and peers" };
    for (const flag of ["client-cert-auth", "peer-client-cert-auth"]) {
      const value = etcd.flag(flag) ?? (etcd.by === "kubeadm" ? "true" : "false");
      if (value !== "true") yield { found: `etcd ${flag} off`, required: "true" };
    }
    for (const flag of ["auto-tls", "peer-auto-tls"])
      if (etcd.flag(flag) === "true") yield { found: `etcd ${flag}: certificates that nobody signed`, required: "off" };
    for (const flag of ["listen-client-urls", "listen-peer-urls", "advertise-client-urls"])
      if (/(^|,)http:\/\/(?!127\.0\.0\.1|localhost)/.test(etcd.flag(flag) ?? ""))
        yield { found: `etcd ${flag} with plain http`, required: "https" };
  },
  *apiServer(server) {
    for (const flag of ["etcd-cafile", "etcd-certfile", "etcd-keyfile"])
      if (server.by === "command" && server.flag(flag) === undefined)
        yield { found: `API server without ${flag}`, required: "certificates towards etcd" };
  },
  *config(config) {
    const external = at(config.of("ClusterConfiguration"), "etcd", "external");
    if (external === undefined) return;
    for (const key of ["caFile", "certFile", "keyFile"])
      if (text(at(external, key)) === undefined)
        yield { found: `etcd.external without ${key}`, required: "certificates" };
    if (list(at(external, "endpoints")).some((endpoint) => text(endpoint)?.startsWith("https://") !== true))
      yield { found: "etcd.external.endpoints with plain http", required: "https" };
  },
});

/** kubeadm's own defaults are the hardened values, so only what is given can weaken them. */
export const kubeletHardened = componentPolicy("kubelet-hardened", {
  *kubelet(kubelet) {
    const byFile = kubelet.by === "kubeadm" || kubelet.flag("config") !== undefined;
    const port = kubelet.flag("read-only-port") ?? (byFile ? "0" : "10255");
    if (port !== "0") yield { found: "kubelet read-only-port open", required: "readOnlyPort 0" };
    if (
      kubelet.flag("rotate-certificates") === "false" ||
      (!byFile && kubelet.flag("rotate-certificates") === undefined)
    )
      yield { found: "kubelet rotate-certificates off", required: "rotateCertificates true" };
  },
  *config(config) {
    const kubelet = config.of("KubeletConfiguration");
    const port = number(at(kubelet, "readOnlyPort")) ?? 0;
    if (port !== 0) yield { found: `readOnlyPort ${port}`, required: "readOnlyPort 0" };
    if (at(kubelet, "rotateCertificates") === false)
      yield { found: "rotateCertificates false", required: "rotateCertificates true" };
  },
});
