import * as fs from "node:fs";
import * as path from "node:path";
import type { ControlPlane } from "./control-plane";
import { controlPlaneAddress, type LabNetwork } from "./network";
import { capture, mustRun, type Processes } from "./processes";

/** istio-proxy's user: the capture rules let through what runs as it. */
const proxyUser = "1337";

export interface WorkloadSpec {
  readonly name: string;
  readonly namespace: string;
  readonly address: string;
  /** Labels `app` and `version`; the service account is named after the app. */
  readonly app: string;
  readonly version: string;
  /** With pilot-agent and Envoy, all TCP captured. */
  readonly sidecar: boolean;
}

export interface WorkloadLab {
  readonly folder: string;
  readonly network: LabNetwork;
  readonly processes: Processes;
  readonly controlPlane: ControlPlane;
  readonly pilotAgent: string;
  readonly envoy: string;
  /** tools/images/echo: server and client. */
  readonly echo: string;
  /** Envoy's bootstrap template of the same Istio. */
  readonly bootstrap: string;
}

/**
 * A Pod as the API server has it, with the status that a kubelet would write, and a network namespace for it.
 * What injection would add to the object is added here: there is no webhook in this lab.
 */
export async function createPod({ network, controlPlane }: WorkloadLab, pod: WorkloadSpec): Promise<void> {
  await network.join(pod.name, pod.address);
  const injected = {
    "security.istio.io/tlsMode": "istio",
    "service.istio.io/canonical-name": pod.app,
    "service.istio.io/canonical-revision": pod.version,
  };
  await controlPlane.apply(
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: pod.app, namespace: pod.namespace } },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: pod.name,
        namespace: pod.namespace,
        labels: { app: pod.app, version: pod.version, ...(pod.sidecar && injected) },
      },
      spec: {
        nodeName: "lab",
        serviceAccountName: pod.app,
        automountServiceAccountToken: false,
        containers: [{ name: "app", image: "lab/process", ports: [{ containerPort: 8080 }] }],
      },
    },
  );
  const status = {
    phase: "Running",
    hostIP: controlPlaneAddress,
    podIP: pod.address,
    podIPs: [{ ip: pod.address }],
    conditions: ["Ready", "ContainersReady"].map((type) => ({ type, status: "True" })),
  };
  await controlPlane.mustKubectl([
    "patch",
    "pod",
    pod.name,
    `--namespace=${pod.namespace}`,
    "--subresource=status",
    "--type=merge",
    `--patch=${JSON.stringify({ status })}`,
  ]);
}

/** The sidecar as the pod's injected containers would start it: capture rules, then pilot-agent with its Envoy. */
export async function startSidecar(lab: WorkloadLab, pod: WorkloadSpec): Promise<void> {
  const { controlPlane, network, processes } = lab;
  const home = path.join(lab.folder, "proxy", pod.name);
  const write = (name: string, content: string): void => {
    const file = path.join(home, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, content);
  };
  write(
    "var/run/secrets/tokens/istio-token",
    await controlPlane.mustKubectl([
      "create",
      "token",
      pod.app,
      `--namespace=${pod.namespace}`,
      "--audience=istio-ca",
      "--duration=2h",
    ]),
  );
  write("var/run/secrets/istio/root-cert.pem", await rootCertificate(controlPlane, pod.namespace));
  write("etc/istio/pod/labels", `app="${pod.app}"\nversion="${pod.version}"\nsecurity.istio.io/tlsMode="istio"\n`);
  fs.mkdirSync(path.join(home, "etc/istio/proxy"), { recursive: true });
  await mustRun(["chown", "-R", `${proxyUser}:${proxyUser}`, home]);

  const inside = network.inside(pod.name);
  await mustRun([
    ...inside,
    lab.pilotAgent,
    "istio-iptables",
    ...["-p", "15001", "-z", "15006", "-u", proxyUser, "-m", "REDIRECT", "-i", "*", "-x", "", "-b", "*"],
    ...["-d", "15090,15021,15020"],
  ]);
  processes.start(`proxy-${pod.name}`, {
    command: [
      ...inside,
      ...["setpriv", `--reuid=${proxyUser}`, `--regid=${proxyUser}`, "--clear-groups"],
      ...[lab.pilotAgent, "proxy", "sidecar", `--domain=${pod.namespace}.svc.cluster.local`],
      "--proxyLogLevel=warning",
      "--proxyComponentLogLevel=misc:error",
    ],
    cwd: home,
    env: {
      HOME: home,
      POD_NAME: pod.name,
      POD_NAMESPACE: pod.namespace,
      INSTANCE_IP: pod.address,
      HOST_IP: controlPlaneAddress,
      SERVICE_ACCOUNT: pod.app,
      TRUST_DOMAIN: "cluster.local",
      CA_ADDR: `${controlPlaneAddress}:15012`,
      ISTIOD_SAN: "istiod.istio-system.svc",
      PILOT_CERT_PROVIDER: "istiod",
      JWT_POLICY: "third-party-jwt",
      ISTIO_META_CLUSTER_ID: "Kubernetes",
      ISTIO_META_NODE_NAME: "lab",
      ISTIO_META_INTERCEPTION_MODE: "REDIRECT",
      ISTIO_META_WORKLOAD_NAME: pod.name,
      ISTIO_META_MESH_ID: "cluster.local",
      ISTIO_META_APP_CONTAINERS: "app",
      ISTIO_META_POD_PORTS: JSON.stringify([{ containerPort: 8080, protocol: "TCP" }]),
      ISTIO_BOOTSTRAP: lab.bootstrap,
      // Looking for a cloud's metadata server takes 2 s at each start.
      CLOUD_PLATFORM: "none",
      PROXY_CONFIG: JSON.stringify({
        discoveryAddress: `${controlPlaneAddress}:15012`,
        binaryPath: lab.envoy,
        configPath: path.join(home, "etc/istio/proxy"),
        concurrency: 1,
        terminationDrainDuration: "1s",
      }),
    },
  });
}

export async function sidecarReady({ network, processes, echo }: WorkloadLab, pod: WorkloadSpec): Promise<void> {
  const url = "http://127.0.0.1:15021/healthz/ready";
  await processes.ready(
    `proxy-${pod.name}`,
    async () => (await capture([...network.inside(pod.name), echo, "get", "-timeout=1s", url])).code === 0,
  );
}

/** istiod writes it into every namespace, a moment after it has appeared. */
async function rootCertificate(controlPlane: ControlPlane, namespace: string): Promise<string> {
  await controlPlane.mustKubectl([
    "wait",
    "--for=create",
    "--timeout=20s",
    `--namespace=${namespace}`,
    "configmap/istio-ca-root-cert",
  ]);
  return controlPlane.mustKubectl([
    "get",
    "configmap",
    "istio-ca-root-cert",
    `--namespace=${namespace}`,
    "--output=jsonpath={.data.root-cert\\.pem}",
  ]);
}
