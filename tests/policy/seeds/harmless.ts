import { workload, type Stack } from "./stack";

const NETWORKING = "networking.istio.io/v1";
const SECURITY = "security.istio.io/v1";
const GATEWAY_API = "gateway.networking.k8s.io/v1";
const off = { tls: { mode: "DISABLE" } };
const owned = { "kvmesh.io/exception-owner": "shop", "kvmesh.io/exception-expires": "2027-01-31" };

const rule = (spec: object) => (stack: Stack) =>
  stack.object(NETWORKING, "DestinationRule", { name: "second", namespace: "pay" }, { spec });

/** Changes near a fault that are none: no rule may fail. */
export const harmless: readonly { readonly what: string; readonly change: (stack: Stack) => unknown }[] = [
  {
    what: "no TLS towards a host of two labels outside the cluster",
    change: rule({ host: "example.org", trafficPolicy: off }),
  },
  {
    what: "no TLS towards a host outside whose first label is a namespace's",
    change: rule({ host: "api.shop.example.org", trafficPolicy: off }),
  },
  {
    what: "SIMPLE TLS towards a wildcard outside",
    change: rule({ host: "*.example.org", trafficPolicy: { tls: { mode: "SIMPLE" } } }),
  },
  {
    what: "ISTIO_MUTUAL towards all services",
    change: rule({ host: "*.local", trafficPolicy: { tls: { mode: "ISTIO_MUTUAL" } } }),
  },
  {
    what: "no TLS towards a namespace whose own PeerAuthentication is PERMISSIVE, by an owner until a day",
    change: (stack) => {
      stack.object(
        SECURITY,
        "PeerAuthentication",
        { name: "default", namespace: "pay", annotations: owned },
        {
          spec: { mtls: { mode: "PERMISSIVE" } },
        },
      );
      rule({ host: "ledger", trafficPolicy: off })(stack);
    },
  },
  {
    what: "no TLS for a port that is exempt by an owner",
    change: (stack) => {
      stack.object(
        SECURITY,
        "PeerAuthentication",
        { name: "till", namespace: "shop", annotations: owned },
        {
          spec: { mtls: { mode: "STRICT" }, portLevelMtls: { 9000: { mode: "PERMISSIVE" } } },
        },
      );
      rule({
        host: "cart.shop.svc.cluster.local",
        trafficPolicy: { portLevelSettings: [{ port: { number: 9000 }, ...off }] },
      })(stack);
    },
  },
  {
    what: "a workload past the mesh by an owner",
    change: (stack) =>
      workload(stack, "agent", { hostNetwork: true, annotations: { ...owned, "sidecar.istio.io/inject": "false" } }),
  },
  {
    what: "a workload without a sidecar where none is injected",
    change: (stack) =>
      workload(
        stack,
        "agent",
        { hostNetwork: true, annotations: { "sidecar.istio.io/inject": "false" } },
        "monitoring",
      ),
  },
  {
    what: "all traffic through the sidecar, said",
    change: (stack) =>
      workload(stack, "agent", { annotations: { "traffic.sidecar.istio.io/includeInboundPorts": "*" } }),
  },
  {
    what: "a TLS server that passes through",
    change: (stack) =>
      stack.object(
        NETWORKING,
        "Gateway",
        { name: "pass", namespace: "istio-ingress" },
        {
          spec: { servers: [{ port: { number: 8443, protocol: "TLS" }, hosts: ["*"], tls: { mode: "PASSTHROUGH" } }] },
        },
      ),
  },
  {
    what: "a TCP server that ends TLS",
    change: (stack) =>
      stack.object(
        NETWORKING,
        "Gateway",
        { name: "db", namespace: "istio-ingress" },
        {
          spec: {
            servers: [
              { port: { number: 5432, protocol: "TCP" }, hosts: ["*"], tls: { mode: "MUTUAL", credentialName: "db" } },
            ],
          },
        },
      ),
  },
  {
    what: "plain HTTP of the Gateway API that only redirects",
    change: (stack) =>
      stack
        .object(
          GATEWAY_API,
          "Gateway",
          { name: "api", namespace: "istio-ingress" },
          {
            spec: {
              listeners: [
                { name: "http", port: 80, protocol: "HTTP" },
                { name: "https", port: 443, protocol: "HTTPS", tls: { certificateRefs: [{ name: "shop-tls" }] } },
              ],
            },
          },
        )
        .object(
          GATEWAY_API,
          "HTTPRoute",
          { name: "redirect", namespace: "istio-ingress" },
          {
            spec: {
              parentRefs: [{ name: "api", sectionName: "http" }],
              rules: [{ filters: [{ type: "RequestRedirect", requestRedirect: { scheme: "https" } }] }],
            },
          },
        ),
  },
  {
    what: "an Ingress with TLS",
    change: (stack) =>
      stack.object(
        "networking.k8s.io/v1",
        "Ingress",
        { name: "shop", namespace: "shop" },
        {
          spec: { tls: [{ hosts: ["shop.example"], secretName: "shop-tls" }] },
        },
      ),
  },
  {
    what: "a subset of a rule for all services of a namespace, in another namespace",
    change: (stack) =>
      stack
        .object(
          NETWORKING,
          "DestinationRule",
          { name: "wide", namespace: "istio-system" },
          {
            spec: { host: "*.pay.svc.cluster.local", subsets: [{ name: "blue", labels: { version: "blue" } }] },
          },
        )
        .object(
          NETWORKING,
          "VirtualService",
          { name: "ledger", namespace: "pay" },
          {
            spec: { hosts: ["ledger"], http: [{ route: [{ destination: { host: "ledger", subset: "blue" } }] }] },
          },
        ),
  },
  {
    what: "a namespace with injection said to be off",
    change: (stack) =>
      stack
        .object("v1", "Namespace", {
          name: "batch",
          labels: { "istio-injection": "disabled", "pod-security.kubernetes.io/enforce": "restricted" },
        })
        .object(
          "networking.k8s.io/v1",
          "NetworkPolicy",
          { name: "deny", namespace: "batch" },
          {
            spec: { podSelector: {}, policyTypes: ["Ingress"] },
          },
        ),
  },
  {
    what: "labels added to a namespace that is there",
    change: (stack) =>
      stack.set("kubernetes:core/v1:NamespacePatch", "default-labels", {
        metadata: { name: "default", labels: { "istio-injection": "enabled" } },
      }),
  },
  {
    what: "an image by digest, with the tag latest for people",
    change: (stack) =>
      workload(stack, "tool", {
        containers: [{ name: "a", image: `registry.example/a:latest@sha256:${"d".repeat(64)}` }],
      }),
  },
  {
    what: "a command that changes no cluster",
    change: (stack) => stack.set("command:local:Command", "hello", { create: "echo helmsman" }),
  },
];
