import { expect } from "chai";
import { ClusterInputError, KubernetesCluster } from "../../components/cluster";
import type { ReadyNode } from "../../components/ready-node";
import type { Environment, KubernetesSpec, Role } from "../../config/spec";
import type { Milliseconds } from "../../config/units";
import { kubernetesSpec, timeouts } from "../support/cluster-spec";
import { exampleHostKey } from "../support/hosts";
import { recordResources, type RecordedResource } from "../support/recorded-resources";

function node(name: string, role: Role, octet: number, changes: Partial<ReadyNode> = {}): ReadyNode {
  const address = `10.0.0.${octet}`;
  return {
    name,
    pool: role,
    role,
    labels: {},
    taints: [],
    endpoint: { address, hostKey: exampleHostKey(octet) },
    nodeAddress: address,
    identity: `machine-${name}`,
    ready: [],
    ...changes,
  };
}

const three = ["a", "b", "c"].map((host, i) => node(`cp-${i}`, "control-plane", 10 + i, { host }));
const two = [0, 1].map((i) => node(`w-${i}`, "worker", 20 + i));
const virtualIp = { endpoint: { host: "10.0.0.5", port: 6443 } };

function declare(
  nodes: readonly ReadyNode[],
  spec: Partial<KubernetesSpec> = {},
  environment: Environment = "development",
  preview = false,
  outputs: Readonly<Record<string, unknown>> = {},
): Promise<RecordedResource[]> {
  return recordResources(
    () => {
      new KubernetesCluster("main", {
        clusterName: "c1",
        owner: { project: "kvmesh", stack: "test", cluster: "c1", environment },
        spec: kubernetesSpec(spec),
        nodes,
        timeouts,
      });
    },
    {
      "kvmesh:index:Cluster": {
        clusterId: "id-1",
        kubeconfig: "apiVersion: v1",
        caCertHash: `sha256:${"a".repeat(64)}`,
        ...outputs,
      },
    },
    preview,
  );
}

describe("KubernetesCluster", () => {
  it("gives the virtual IP to the cluster and to its control planes alone", async () => {
    const vip = { image: "kube-vip:v1", lease: 15_000 as Milliseconds };
    const made = await declare([...two, ...three], { endpoint: { host: "10.0.0.5", port: 6443, vip } });
    const withVip = made.filter(({ inputs }) => inputs["virtualIp"] !== undefined);
    expect(withVip.map(({ type, name }) => `${type.split(":")[2]} ${name}`)).to.have.members([
      "Cluster main",
      ...three.map(({ name }) => `ClusterNode ${name}`),
    ]);
    for (const { inputs } of withVip) {
      expect(inputs["virtualIp"]).to.deep.equal({ address: "10.0.0.5", port: 6443 });
      expect((inputs["staticPods"] as { name: string }[]).map(({ name }) => name)).to.deep.equal(["kube-vip"]);
    }
    expect(made.find(({ type }) => type === "kvmesh:index:Cluster")?.inputs["config"]).to.match(
      /ControlPlaneKubeletLocalMode: true/,
    );
  });

  it("founds one cluster on all control planes; every node is its node, the one that it is founded on too", async () => {
    const made = await declare([...two, ...three], virtualIp);
    const clusters = made.filter((one) => one.type === "kvmesh:index:Cluster");
    expect(clusters.map(({ name }) => name)).to.deep.equal(["main"]);
    const planes = clusters[0]!.inputs.controlPlanes as { name: string; config: string }[];
    expect(planes.map(({ name }) => name)).to.deep.equal(["cp-0", "cp-1", "cp-2"]);
    expect(planes[1]?.config).to.match(/advertiseAddress: 10.0.0.11/);
    expect(clusters[0]!.dependsOn).to.include.members(["cp-0-runtime", "cp-1-runtime", "cp-2-runtime"]);
    expect(JSON.stringify(clusters[0]!.inputs), "no machine's identity").not.to.contain("machine-cp-0");
    const nodes = made.filter((one) => one.type === "kvmesh:index:ClusterNode");
    expect(nodes.map(({ name }) => name).sort()).to.deep.equal(["cp-0", "cp-1", "cp-2", "w-0", "w-1"]);
    expect(made.filter((one) => one.type === "kvmesh:index:NodeRuntime")).to.have.length(5);
    for (const node of nodes) {
      expect(node.dependsOn).to.have.members(["main", `${node.name}-runtime`]);
      expect((node.inputs.controlPlanes as { name: string }[]).map(({ name }) => name)).to.deep.equal([
        "cp-0",
        "cp-1",
        "cp-2",
      ]);
    }
    const worker = nodes.find(({ name }) => name === "w-0")!;
    expect(worker.inputs).to.deep.include({ role: "worker", apiEndpoint: "10.0.0.5:6443", clusterId: "id-1" });
  });

  it("is ready when every node is, and nothing that needs it depends on a node: one can be destroyed as a target", async () => {
    const made = await declare([...three, { ...two[0]!, labels: { disk: "nvme" } }, two[1]!], virtualIp);
    const ready = made.find((one) => one.type === "kvmesh:index:ClusterReady")!;
    expect(ready.inputs.nodes).to.deep.equal(["cp-0", "cp-1", "cp-2", "w-0", "w-1"]);
    expect(ready.dependsOn).to.have.members(["main", "main-network-daemons"]);
    const nodes = made.filter((one) => one.type === "kvmesh:index:ClusterNode");
    expect(ready.order).to.be.greaterThan(Math.max(...nodes.map(({ order }) => order)));
    for (const one of made.filter(({ type }) => type !== "kvmesh:index:ClusterNode")) {
      for (const node of nodes.filter(({ name }) => name !== "main"))
        expect(
          one.dependsOn.filter((name) => name === node.name),
          one.name,
        ).to.deep.equal([]);
    }
  });

  it("is deleted before any node when all goes: the engine deletes the deepest first", async () => {
    const made = await declare([...three, ...two], virtualIp);
    const depth = (name: string, type?: string): number => {
      const one = made.find((resource) => resource.name === name && (type === undefined || resource.type === type));
      return one === undefined
        ? 0
        : 1 + Math.max(0, ...one.dependsOn.map((other) => (other === name ? 0 : depth(other))));
    };
    const nodes = made.filter((one) => one.type === "kvmesh:index:ClusterNode");
    const ready = depth("main", "kvmesh:index:ClusterReady");
    expect(ready).to.be.greaterThan(Math.max(...nodes.map(({ name }) => depth(name, "kvmesh:index:ClusterNode"))) + 2);
  });

  for (const kubeconfig of [undefined, ""]) {
    it(`declares nothing inside a cluster whose kubeconfig is ${JSON.stringify(kubeconfig)}: no ambient one is taken`, async () => {
      const made = await declare([three[0]!, two[0]!], {}, "development", false, { kubeconfig });
      const inside = made.filter(({ type }) => type.startsWith("kubernetes:") || type.startsWith("pulumi:providers"));
      expect(inside).to.deep.equal([]);
      expect(made.filter(({ type }) => type === "kvmesh:index:ClusterNode")).to.have.length(2);
    });
  }

  it("lets everything inside the cluster die with the cluster", async () => {
    const made = await declare([...three, ...two], virtualIp);
    const inside = made.filter((one) => one.type.startsWith("kubernetes:") && one.custom);
    expect(inside.length).to.be.greaterThan(5);
    for (const one of inside) expect(one.deletedWith, one.name).to.equal("main");
  });

  it("labels nodes through the API, and only those that have labels", async () => {
    const made = await declare([three[0]!, { ...two[0]!, labels: { disk: "nvme" } }], {});
    const patches = made.filter((one) => one.type === "kubernetes:core/v1:NodePatch");
    expect(patches.map((one) => one.inputs.metadata)).to.deep.equal([{ name: "w-0", labels: { disk: "nvme" } }]);
  });

  it("declares flannel with the images, network and backend of the stack", async () => {
    const made = await declare([three[0]!, two[0]!], {
      podCidr: "10.9.0.0/16",
      cni: { plugin: "flannel", version: "0.28.4", backend: "host-gw", imageRepository: "mirror.example.net/flannel" },
    });
    const config = made.find((one) => one.type === "kubernetes:core/v1:ConfigMap")!.inputs.data as Record<
      string,
      string
    >;
    expect(JSON.parse(config["net-conf.json"]!)).to.deep.include({
      Network: "10.9.0.0/16",
      Backend: { Type: "host-gw" },
    });
    const text = JSON.stringify(made.find((one) => one.type === "kubernetes:apps/v1:DaemonSet")!.inputs);
    expect(text).to.contain("mirror.example.net/flannel/flannel:v0.28.4");
    expect(text).to.contain("mirror.example.net/flannel/flannel-cni-plugin:v1.9.1-flannel1");
    expect(text).not.to.contain("ghcr.io");
    expect(text, "reaches the API server without kube-proxy").to.contain(
      '{"name":"KUBERNETES_SERVICE_HOST","value":"10.0.0.10"},{"name":"KUBERNETES_SERVICE_PORT","value":"6443"}',
    );
  });

  it("declares nothing when something is wrong", async () => {
    let made: RecordedResource[] = [];
    try {
      made = await declare([], {});
      expect.fail("accepted");
    } catch (error) {
      expect(error).to.be.instanceOf(ClusterInputError);
    }
    expect(made).to.deep.equal([]);
  });

  it("plans a single control plane of production, so that the policies can say what is wrong with it", async () => {
    const made = await declare([three[0]!, ...two], {}, "production", true);
    expect(made.filter(({ type }) => type === "kvmesh:index:Cluster")).to.have.length(1);
  });

  for (const [what, nodes, spec, environment, expected] of [
    ["no control plane", two, {}, "development", /no node has the role "control-plane"/],
    [
      "an even number of control planes",
      [...three, node("cp-3", "control-plane", 13, { host: "d" }), ...two],
      virtualIp,
      "production",
      /4 control planes \(cp-0, cp-1, cp-2, cp-3\); etcd needs an odd number/,
    ],
    [
      "an endpoint that is one of several control planes",
      three,
      {},
      "development",
      /endpoint is 10.0.0.10, the address of one control plane of 3/,
    ],
    ["nobody to run workloads", three, virtualIp, "development", /no worker, and control planes take no workloads/],
    [
      "two nodes of one address",
      [three[0]!, two[0]!, { ...two[1]!, nodeAddress: "10.0.0.20" }],
      {},
      "development",
      /address 10.0.0.20 is used by 2 nodes \(w-0, w-1\)/,
    ],
    [
      "a single control plane in production",
      [three[0]!, ...two],
      {},
      "production",
      /1 control plane in production; at least 3/,
    ],
    [
      "two control planes on one host in production",
      [...three.map((one) => ({ ...one, host: "a" })), ...two],
      virtualIp,
      "production",
      /cp-0, cp-1, cp-2 are all on host a/,
    ],
    [
      "an unknown flannel",
      [three[0]!, two[0]!],
      { cni: { plugin: "flannel", version: "0.1.0", backend: "vxlan", imageRepository: "x" } },
      "development",
      /cni.version is 0.1.0; known are/,
    ],
  ] as [string, ReadyNode[], Partial<KubernetesSpec>, Environment, RegExp][]) {
    it(`refuses ${what}`, async () => {
      try {
        await declare(nodes, spec, environment);
      } catch (error) {
        expect((error as Error).message).to.match(expected);
        return;
      }
      expect.fail("accepted");
    });
  }
});
