import { expect } from "chai";
import { ClusterInputError, KubernetesCluster } from "../../components/cluster";
import type { ReadyNode } from "../../components/ready-node";
import type { Environment, KubernetesSpec, Role } from "../../config/spec";
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
    { "kvmesh:index:ControlPlane": { kubeconfig: "apiVersion: v1", caCertHash: `sha256:${"a".repeat(64)}` } },
    preview,
  );
}

describe("KubernetesCluster", () => {
  it("makes one first control plane, joins the others one after the other and workers at once", async () => {
    const made = await declare([...two, ...three], virtualIp);
    const named = (name: string): RecordedResource =>
      made.find((one) => one.name === name && one.type.startsWith("kvmesh:index:"))!;
    expect(made.filter((one) => one.type === "kvmesh:index:ControlPlane").map((one) => one.name)).to.deep.equal([
      "cp-0",
    ]);
    expect(made.filter((one) => one.type === "kvmesh:index:NodeRuntime")).to.have.length(5);
    expect(named("cp-1").dependsOn).to.include.members(["cp-0", "cp-1-runtime"]);
    expect(named("cp-2").dependsOn).to.include.members(["cp-0", "cp-1"]);
    for (const worker of ["w-0", "w-1"]) {
      expect(named(worker).dependsOn).to.include("cp-0");
      expect(named(worker).dependsOn).to.not.include.members(["cp-1"]);
      expect(named(worker).dependsOn.filter((one) => one.startsWith("w-") && !one.endsWith("runtime"))).to.deep.equal(
        [],
      );
    }
    expect(named("w-0").inputs).to.deep.include({ role: "worker", apiEndpoint: "10.0.0.5:6443", name: "w-0" });
    expect((named("w-0").inputs.controlPlane as { address: string }).address).to.equal("10.0.0.10");
  });

  it("is ready when every node is: the roster waits for all of them and for the pod network", async () => {
    const made = await declare([...three, ...two], virtualIp);
    const roster = made.find((one) => one.type === "kvmesh:index:Roster")!;
    expect(roster.inputs.nodes).to.deep.equal(["cp-0", "cp-1", "cp-2", "w-0", "w-1"]);
    expect(roster.dependsOn).to.include.members(["cp-0", "cp-1", "cp-2", "w-0", "w-1", "main-network-daemons"]);
  });

  it("lets everything inside the cluster die with the control plane", async () => {
    const made = await declare([...three, ...two], virtualIp);
    const inside = made.filter((one) => one.type.startsWith("kubernetes:") && one.custom);
    expect(inside.length).to.be.greaterThan(5);
    for (const one of inside) expect(one.deletedWith, one.name).to.equal("cp-0");
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
    expect(made.filter(({ type }) => type === "kvmesh:index:ControlPlane")).to.have.length(1);
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
