import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "./kubectl";

export interface StrictProof {
  /** An injected namespace with a STRICT PeerAuthentication. */
  readonly namespace: string;
  /** A Service in it whose pods have sidecars. */
  readonly service: string;
  /** Default 80. */
  readonly port?: number;
  /** Image of tools/images/echo, as the nodes know it; its entrypoint is the program. */
  readonly image: string;
  /** Default IfNotPresent. */
  readonly imagePullPolicy?: "IfNotPresent" | "Never" | "Always";
  /** For both pods together; default 120000. */
  readonly timeoutMs?: number;
}

export interface ProbeOutcome {
  readonly client: "plain" | "mesh";
  readonly verdict: "served" | "refused" | "inconclusive";
  /** What the client printed, and its exit code. */
  readonly evidence: string;
  /** SPIFFE identity that the server's sidecar saw; only with mutual TLS. */
  readonly identity?: string;
}

export interface StrictResult {
  readonly plain: ProbeOutcome;
  readonly mesh: ProbeOutcome;
  /** Plaintext was refused, and the mesh's client was served with its identity. */
  readonly proven: boolean;
}

/**
 * Calls the service once from a pod without a sidecar, in a namespace made for it, and once from a pod with one, in the
 * service's own namespace. Both pods and the namespace are removed, also after a failure.
 */
export async function proveStrict(cluster: Cluster, what: StrictProof): Promise<StrictResult> {
  const id = randomBytes(3).toString("hex");
  const outside = `kvmesh-probe-${id}`;
  const pod = `kvmesh-probe-${id}`;
  const deadline = Date.now() + (what.timeoutMs ?? 120_000);
  try {
    const items = [plainNamespace(outside), probePod(what, outside, pod), probePod(what, what.namespace, pod)];
    await cluster.kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }));
    const [plain, mesh] = await Promise.all([
      outcome(cluster, "plain", outside, pod, deadline),
      outcome(cluster, "mesh", what.namespace, pod, deadline),
    ]);
    return { plain, mesh, proven: plain.verdict === "refused" && mesh.verdict === "served" && !!mesh.identity };
  } finally {
    const gone = ["--ignore-not-found", "--wait=false"];
    await Promise.allSettled([
      cluster.kubectl(["delete", "namespace", outside, ...gone]),
      cluster.kubectl(["delete", "pod", pod, "-n", what.namespace, "--grace-period=1", ...gone]),
    ]);
  }
}

/** Reads a probe's container: its exit code alone does not tell a refusal from a name that doesn't resolve. */
export function judgeProbe(client: ProbeOutcome["client"], exitCode: number, output: string): ProbeOutcome {
  const evidence = `exit ${exitCode}: ${output.trim().replace(/\s*\n\s*/g, " | ")}`;
  const identity = /URI=(spiffe:\/\/[^\s;,"]+)/.exec(output)?.[1];
  if (exitCode === 0) return { client, verdict: "served", evidence, identity };
  // A sidecar in STRICT mode accepts the connection and closes it when no TLS comes.
  const refused = /connection reset by peer|\bEOF\b/.test(output);
  return { client, verdict: refused ? "refused" : "inconclusive", evidence };
}

const labels = { "app.kubernetes.io/managed-by": "kvmesh-probe" };

function plainNamespace(name: string): object {
  const restricted = { "pod-security.kubernetes.io/enforce": "restricted" };
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, labels: { ...labels, ...restricted, "istio-injection": "disabled" } },
  };
}

function probePod(what: StrictProof, namespace: string, name: string): object {
  const url = `http://${what.service}.${what.namespace}.svc.cluster.local:${what.port ?? 80}/`;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace,
      labels,
      // Without it the client may run before its sidecar does.
      annotations: { "proxy.istio.io/config": JSON.stringify({ holdApplicationUntilProxyStarts: true }) },
    },
    spec: {
      restartPolicy: "Never",
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 1,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 65532,
        runAsGroup: 65532,
        seccompProfile: { type: "RuntimeDefault" },
      },
      containers: [
        {
          name: "probe",
          image: what.image,
          imagePullPolicy: what.imagePullPolicy ?? "IfNotPresent",
          args: ["get", "-timeout=10s", url],
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
          resources: { requests: { cpu: "10m", memory: "16Mi" }, limits: { memory: "64Mi" } },
        },
      ],
    },
  };
}

interface PodStatus {
  readonly status: {
    readonly phase?: string;
    readonly containerStatuses?: readonly {
      readonly name: string;
      readonly state: {
        readonly waiting?: { readonly reason?: string; readonly message?: string };
        readonly terminated?: { readonly exitCode: number };
      };
    }[];
  };
}

async function outcome(
  cluster: Cluster,
  client: ProbeOutcome["client"],
  namespace: string,
  pod: string,
  deadline: number,
): Promise<ProbeOutcome> {
  for (;;) {
    const { status } = await cluster.get<PodStatus>(["pod", pod, "-n", namespace]);
    // Only the client's own container ends; its sidecar may stay.
    const probe = status.containerStatuses?.find(({ name }) => name === "probe");
    const ended = probe?.state.terminated;
    if (ended !== undefined) {
      const output = await cluster.kubectl(["logs", pod, "-n", namespace, "-c", "probe"]);
      return judgeProbe(client, ended.exitCode, output);
    }
    const waiting = probe?.state.waiting;
    if (Date.now() > deadline) {
      const why = waiting?.message ?? waiting?.reason ?? status.phase ?? "no status";
      return { client, verdict: "inconclusive", evidence: `pod ${namespace}/${pod} did not finish in time: ${why}` };
    }
    await sleep(500);
  }
}
