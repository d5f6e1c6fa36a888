import type { Seed } from "./seed";
import { workload, type Stack } from "./stack";

const REPOSITORY = "kyverno/policies ";
const TESTS = ".chainsaw-test/";

function namespace(stack: Stack, name: string, labels: Record<string, string>): Stack {
  const spec = { podSelector: {}, policyTypes: ["Ingress"] };
  stack.object("networking.k8s.io/v1", "NetworkPolicy", { name: "deny", namespace: name }, { spec });
  return stack.object("v1", "Namespace", { name, labels });
}

const BASELINE = { "pod-security.kubernetes.io/enforce": "baseline" };
const image =
  (name: string, kind = "containers") =>
  (stack: Stack) =>
    workload(stack, "tool", { [kind]: [{ name: "tool", image: name }] });

/** Faults of the tests in Kyverno's collection of policies. */
export const kyvernoSeeds: readonly Seed[] = [
  {
    what: "a PeerAuthentication that is PERMISSIVE",
    origin: `${REPOSITORY}istio/enforce-strict-mtls/${TESTS}pa-bad.yaml`,
    change: (stack) =>
      stack.object(
        "security.istio.io/v1",
        "PeerAuthentication",
        { name: "default", namespace: "shop" },
        {
          spec: { mtls: { mode: "PERMISSIVE" } },
        },
      ),
    fails: ["mtls-exception"],
  },
  {
    what: "a DestinationRule that turns TLS off for the hosts of a namespace",
    origin: `${REPOSITORY}istio/enforce-tls-hosts-host-subnets/${TESTS}dr-bad.yaml`,
    change: (stack) =>
      stack.object(
        "networking.istio.io/v1beta1",
        "DestinationRule",
        { name: "off", namespace: "pay" },
        {
          spec: { host: "*.shop.svc.cluster.local", trafficPolicy: { tls: { mode: "DISABLE" } } },
        },
      ),
    fails: ["mtls-conflict"],
  },
  {
    what: "a pod without a sidecar in a namespace of the mesh",
    origin: `${REPOSITORY}istio/prevent-disabling-injection-pods/${TESTS}pod-bad.yaml`,
    change: (stack) =>
      stack.object(
        "v1",
        "Pod",
        { name: "bare", namespace: "shop", annotations: { "sidecar.istio.io/inject": "false" } },
        { spec: { containers: [{ name: "bare", image: "registry.example/bare:1.0.0" }] } },
      ),
    fails: ["mtls-exception"],
  },
  {
    what: "a Deployment whose pods have no sidecar in a namespace of the mesh",
    origin: `${REPOSITORY}istio/prevent-disabling-injection-pods/${TESTS}podcontroller-bad.yaml`,
    change: (stack) => workload(stack, "bare", { labels: { "sidecar.istio.io/inject": "false" } }),
    fails: ["mtls-exception"],
  },
  {
    what: "a namespace with the mesh's policies, and without a label",
    origin: `${REPOSITORY}istio/enforce-sidecar-injection-namespace/${TESTS}ns-bad-nolabel.yaml`,
    change: (stack) =>
      namespace(stack, "stock", BASELINE).object("security.istio.io/v1", "AuthorizationPolicy", {
        name: "deny",
        namespace: "stock",
      }),
    fails: ["ns-injected"],
  },
  {
    what: "a namespace with the mesh's policies, and injection off",
    origin: `${REPOSITORY}istio/enforce-sidecar-injection-namespace/${TESTS}ns-bad-disabled.yaml`,
    change: (stack) =>
      namespace(stack, "stock", { ...BASELINE, "istio-injection": "disabled" }).object(
        "security.istio.io/v1",
        "PeerAuthentication",
        { name: "default", namespace: "stock" },
        { spec: { mtls: { mode: "STRICT" } } },
      ),
    fails: ["ns-injected"],
  },
  {
    what: "a namespace in ambient mode that also injects",
    origin: `${REPOSITORY}istio/enforce-ambient-mode-namespace/${TESTS}ns-bad-somelabel.yaml`,
    change: (stack) => stack.edit("Namespace-shop", { "metadata.labels.istio|io/dataplane-mode": "ambient" }),
    fails: ["ns-injected"],
  },
  {
    what: "a container with the tag latest before one without fault",
    origin: `${REPOSITORY}best-practices/disallow-latest-tag/${TESTS}bad-pod-latest-fail-first.yaml`,
    change: (stack) =>
      workload(stack, "tool", {
        containers: [
          { name: "a", image: "registry.example/a:latest" },
          { name: "b", image: "registry.example/b:1.0.0" },
        ],
      }),
    fails: ["artifact-pinned"],
  },
  {
    what: "a container with the tag latest after one without fault",
    origin: `${REPOSITORY}best-practices/disallow-latest-tag/${TESTS}bad-pod-latest-success-first.yaml`,
    change: (stack) =>
      workload(stack, "tool", {
        containers: [
          { name: "b", image: "registry.example/b:1.0.0" },
          { name: "a", image: "registry.example/a:latest" },
        ],
      }),
    fails: ["artifact-pinned"],
  },
  {
    what: "a container without a tag",
    origin: `${REPOSITORY}best-practices/disallow-latest-tag/${TESTS}bad-pod-no-tag.yaml`,
    change: image("registry.example:5000/tool"),
    fails: ["artifact-pinned"],
  },
  {
    what: "an Ingress without TLS",
    origin: `${REPOSITORY}other/require-ingress-https/${TESTS}ingress-bad.yaml`,
    change: (stack) =>
      stack.object(
        "networking.k8s.io/v1",
        "Ingress",
        { name: "shop", namespace: "shop" },
        {
          spec: { rules: [{ host: "shop.example" }] },
        },
      ),
    fails: ["gateway-tls"],
  },
  {
    what: "a namespace that enforces privileged",
    origin: `${REPOSITORY}psa/deny-privileged-profile/04-manifests-user.yaml`,
    change: (stack) => namespace(stack, "stock", { "pod-security.kubernetes.io/enforce": "privileged" }),
    fails: ["ns-pod-security"],
  },
  {
    what: "a namespace without a level",
    origin: `${REPOSITORY}psa/add-psa-labels/${TESTS}ns.yaml`,
    change: (stack) => namespace(stack, "stock", { team: "stock" }),
    fails: ["ns-pod-security"],
  },
  {
    what: "a namespace without a NetworkPolicy",
    origin: `${REPOSITORY}best-practices/add-network-policy/03-ns.yaml`,
    change: (stack) => stack.object("v1", "Namespace", { name: "stock", labels: BASELINE }),
    fails: ["ns-default-deny"],
  },
];
