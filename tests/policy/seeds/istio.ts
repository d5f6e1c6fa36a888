import type { Seed } from "./seed";
import { destination, workload, type Stack } from "./stack";

const DATA = "istio/istio pkg/config/analysis/analyzers/testdata/";
const NETWORKING = "networking.istio.io/v1";

function rule(spec: object, metadata: Record<string, unknown> = {}) {
  return (stack: Stack): Stack =>
    stack.object(NETWORKING, "DestinationRule", { name: "second", namespace: "pay", ...metadata }, { spec });
}

const host = "cart.shop.svc.cluster.local";
const tls = (mode: string) => ({ tls: { mode } });
const server =
  (number: number, protocol: string, more: object = {}) =>
  (stack: Stack) =>
    stack.object(
      NETWORKING,
      "Gateway",
      { name: "second", namespace: "istio-ingress" },
      {
        spec: { servers: [{ port: { number, name: "p", protocol }, hosts: ["*"], ...more }] },
      },
    );

const ENVOY_FILTER = [
  "objects-seen",
  "mesh-strict",
  "mtls-exception",
  "mtls-conflict",
  "gateway-tls",
  "retry-budget",
  "canary-weights",
];
const envoyFilter = (operation: string, applyTo: string) => (stack: Stack) =>
  stack.object(
    "networking.istio.io/v1alpha3",
    "EnvoyFilter",
    { name: "patch", namespace: "shop" },
    {
      spec: { configPatches: [{ applyTo, patch: { operation } }] },
    },
  );

/** Faults of the data that Istio's own analyzers are tested with. */
export const istioSeeds: readonly Seed[] = [
  {
    what: "a namespace with injection label and revision",
    origin: `${DATA}injection.yaml (busted)`,
    change: (stack) => stack.edit("Namespace-shop", { "metadata.labels.istio|io/rev": "canary" }),
    fails: ["ns-injected"],
  },
  {
    what: "a pod that its annotation keeps out of the mesh",
    origin: `${DATA}injection.yaml (podinjectiondisabled)`,
    change: (stack) => workload(stack, "bare", { annotations: { "sidecar.istio.io/inject": "false" } }, "pay"),
    fails: ["mtls-exception"],
  },
  {
    what: "a pod whose label wins over its annotation",
    origin: `${DATA}injection.yaml (podinjectiondisabled-label)`,
    change: (stack) =>
      workload(stack, "bare", {
        labels: { "sidecar.istio.io/inject": "false" },
        annotations: { "sidecar.istio.io/inject": "true" },
      }),
    fails: ["mtls-exception"],
  },
  {
    what: "a pod on its host's network, which gets no sidecar",
    origin: `${DATA}mtls-no-sidecar.yaml`,
    change: (stack) => workload(stack, "agent", { hostNetwork: true }),
    fails: ["mtls-exception"],
  },
  {
    what: "a mesh without automatic mutual TLS",
    origin: `${DATA}mesh-with-automtls.yaml (turned round)`,
    change: (stack) => stack.edit("istiod", { "values.meshConfig.enableAutoMtls": false }),
    fails: ["mesh-strict"],
  },
  {
    what: "the same in istiod's ConfigMap",
    origin: `${DATA}common/meshconfig.yaml (turned round)`,
    change: (stack) =>
      stack.object(
        "v1",
        "ConfigMap",
        { name: "istio", namespace: "istio-system" },
        {
          data: { mesh: "enableAutoMtls: false\nrootNamespace: istio-system\n" },
        },
      ),
    fails: ["mesh-strict"],
  },
  {
    what: "a route to a subset that isn't there",
    origin: `${DATA}virtualservice_destinationrules.yaml (bogussubset)`,
    change: (stack) =>
      stack.object(
        NETWORKING,
        "VirtualService",
        { name: "other", namespace: "shop" },
        {
          spec: { hosts: ["cart"], http: [{ route: [destination("v3")] }] },
        },
      ),
    fails: ["route-subset"],
  },
  {
    what: "a mirror to a subset that isn't there",
    origin: `${DATA}virtualservice_destinationrules.yaml (mirror)`,
    change: (stack) =>
      stack.object(
        NETWORKING,
        "VirtualService",
        { name: "other", namespace: "shop" },
        {
          spec: { hosts: ["cart"], http: [{ route: [destination("v1")], mirror: { host: "cart", subset: "v9" } }] },
        },
      ),
    fails: ["route-subset"],
  },
  {
    what: "a subset whose labels no pod has",
    origin: `${DATA}destinationrule-subsets-not-select-pods.yaml`,
    change: (stack) =>
      stack.edit("DestinationRule-shop-cart", {
        "spec.subsets": [
          { name: "v1", labels: { version: "v1" } },
          { name: "v2", labels: { version: "v22" } },
        ],
      }),
    fails: ["route-subset"],
  },
  {
    what: "a subset without labels",
    origin: `${DATA}destinationrule-empty-topology-labels.yaml`,
    change: (stack) =>
      stack.edit("DestinationRule-shop-cart", {
        "spec.subsets": [{ name: "v1", labels: { version: "v1" } }, { name: "v2" }],
      }),
    fails: ["route-subset"],
  },
  {
    what: "SIMPLE TLS towards a strict server",
    origin: `${DATA}destinationrule-simple-destination.yaml`,
    change: rule({ host, trafficPolicy: tls("SIMPLE") }),
    fails: ["mtls-conflict"],
  },
  {
    what: "SIMPLE TLS of one port",
    origin: `${DATA}destinationrule-simple-port.yaml`,
    change: rule({ host, trafficPolicy: { portLevelSettings: [{ port: { number: 443 }, ...tls("SIMPLE") }] } }),
    fails: ["mtls-conflict"],
  },
  {
    what: "MUTUAL TLS with certificates of one's own towards a strict server",
    origin: `${DATA}destinationrule-mutual-destination.yaml`,
    change: rule({ host, trafficPolicy: tls("MUTUAL") }),
    fails: ["mtls-conflict"],
  },
  {
    what: "MUTUAL TLS of one port",
    origin: `${DATA}destinationrule-mutual-port.yaml`,
    change: rule({ host, trafficPolicy: { portLevelSettings: [{ port: { number: 443 }, ...tls("MUTUAL") }] } }),
    fails: ["mtls-conflict"],
  },
  {
    what: "SIMPLE for the host, ISTIO_MUTUAL for a port",
    origin: `${DATA}destinationrule-compound-simple-mutual.yaml`,
    change: rule({
      host,
      trafficPolicy: { ...tls("SIMPLE"), portLevelSettings: [{ port: { number: 443 }, ...tls("ISTIO_MUTUAL") }] },
    }),
    fails: ["mtls-conflict"],
  },
  {
    what: "ISTIO_MUTUAL for the host, SIMPLE for a port",
    origin: `${DATA}destinationrule-compound-mutual-simple.yaml`,
    change: rule({
      host,
      trafficPolicy: { ...tls("ISTIO_MUTUAL"), portLevelSettings: [{ port: { number: 443 }, ...tls("SIMPLE") }] },
    }),
    fails: ["mtls-conflict"],
  },
  {
    what: "a client without TLS in another namespace than its strict server",
    origin: `${DATA}mtls-no-dr.yaml`,
    change: rule({ host, trafficPolicy: tls("DISABLE") }),
    fails: ["mtls-conflict"],
  },
  {
    what: "HTTPS without a certificate",
    origin: `${DATA}gateway-secrets.yaml`,
    change: server(8443, "HTTPS", tls("SIMPLE")),
    fails: ["gateway-tls"],
  },
  {
    what: "plain HTTP on a port of the gateway",
    origin: `${DATA}gateway-correct-port.yaml`,
    change: server(8080, "HTTP"),
    fails: ["gateway-tls"],
  },
  {
    what: "plain HTTP2 on another port",
    origin: `${DATA}gateway-different-port.yaml`,
    change: server(8081, "HTTP2"),
    fails: ["gateway-tls"],
  },
  {
    what: "a Gateway of the Gateway API with plain HTTP",
    origin: `${DATA}k8sgateway-selector.yaml`,
    change: (stack) =>
      stack.object(
        "gateway.networking.k8s.io/v1",
        "Gateway",
        { name: "api", namespace: "istio-ingress" },
        {
          spec: { listeners: [{ name: "http", port: 80, protocol: "HTTP" }] },
        },
      ),
    fails: ["gateway-tls"],
  },
  {
    what: "an Ingress of the old API without TLS",
    origin: `${DATA}misannotated.yaml (Ingress gateway)`,
    change: (stack) =>
      stack.object(
        "extensions/v1beta1",
        "Ingress",
        { name: "gateway", namespace: "shop" },
        {
          spec: { rules: [{ http: { paths: [{ path: "/productpage" }] } }] },
        },
      ),
    fails: ["gateway-tls"],
  },
  {
    what: "an AuthorizationPolicy in a namespace without sidecars",
    origin: `${DATA}authorizationpolicies.yaml`,
    change: (stack) =>
      stack.object(
        "security.istio.io/v1",
        "AuthorizationPolicy",
        { name: "allow", namespace: "monitoring" },
        {
          spec: { selector: { matchLabels: { app: "prometheus" } } },
        },
      ),
    fails: ["ns-injected"],
  },
  {
    what: "a fault in a List",
    origin: `${DATA}analyze-list-type.yaml`,
    change: (stack) =>
      stack.set("kubernetes:security.istio.io/v1:PeerAuthenticationList", "peers", {
        items: [
          { metadata: { name: "a", namespace: "shop" }, spec: { mtls: { mode: "STRICT" } } },
          {
            metadata: { name: "b", namespace: "pay" },
            spec: { selector: { matchLabels: { app: "x" } }, mtls: { mode: "DISABLE" } },
          },
        ],
      }),
    fails: ["mesh-strict"],
  },
  ...[
    ["absolute-envoy-filter-operation", "INSERT_FIRST", "HTTP_FILTER"],
    ["envoy-filter-add-operation", "ADD", "ROUTE_CONFIGURATION"],
    ["envoy-filter-patch-operation", "MERGE", "VIRTUAL_HOST"],
    ["envoy-filter-remove-operation", "REMOVE", "NETWORK_FILTER"],
    ["envoy-filter-replace-operation", "REPLACE", "NETWORK_FILTER"],
    ["envoy-filter-filterchain", "MERGE", "FILTER_CHAIN"],
  ].map(([file = "", operation = "", applyTo = ""]): Seed => ({
    what: `an EnvoyFilter: ${operation} of ${applyTo}`,
    origin: `${DATA}${file}.yaml`,
    change: envoyFilter(operation, applyTo),
    unseen: ENVOY_FILTER,
  })),
];
