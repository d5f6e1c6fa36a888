import type { Cluster } from "./kubectl";

interface Service {
  readonly spec: {
    readonly type: string;
    readonly ports: readonly { readonly port: number; readonly nodePort?: number }[];
  };
  readonly status: {
    readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[] };
  };
}

interface Nodes {
  readonly items: readonly {
    readonly status: {
      readonly addresses: readonly { readonly type: string; readonly address: string }[];
      readonly conditions: readonly { readonly type: string; readonly status: string }[];
    };
  }[];
}

/**
 * URL at which a port of the ingress gateway answers from outside: the load balancer's address, else a ready node's.
 * @throws Error that says what the Service lacks
 */
export async function gatewayUrl(
  cluster: Cluster,
  { namespace = "istio-ingress", name = "istio-ingressgateway", port = 80 } = {},
): Promise<string> {
  const { spec, status } = await cluster.get<Service>(["service", name, "-n", namespace]);
  const open = spec.ports.find((candidate) => candidate.port === port);
  if (open === undefined) {
    throw new Error(
      `service ${namespace}/${name} has no port ${port}, only ${spec.ports.map((p) => p.port).join(", ")}`,
    );
  }
  const balancer = status.loadBalancer?.ingress?.[0];
  const address = balancer?.ip ?? balancer?.hostname;
  if (address !== undefined) return `http://${address}:${port}/`;
  if (open.nodePort === undefined) {
    throw new Error(
      `service ${namespace}/${name} of type ${spec.type} has no address outside the cluster; ` +
        "give the URL, or set gatewayServiceType to NodePort",
    );
  }
  const nodes = await cluster.get<Nodes>(["nodes"]);
  const ready = nodes.items.filter((node) =>
    node.status.conditions.some((c) => c.type === "Ready" && c.status === "True"),
  );
  const node = ready.flatMap((each) => each.status.addresses).find(({ type }) => type === "InternalIP");
  if (node === undefined) throw new Error("no node is ready");
  return `http://${node.address}:${open.nodePort}/`;
}
