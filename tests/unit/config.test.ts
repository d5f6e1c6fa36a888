import { expect } from "chai";
import { rawConfig } from "../../config";
import { exampleHostKey } from "../support/hosts";
import { problemsOf, specOf } from "../support/stack";

const HOST_KEY = exampleHostKey();

describe("parseStack", () => {
  it("fills in every default, with units, in the order of names", () => {
    const spec = specOf();
    expect(spec.clusterName).to.equal("dev");
    expect(spec.timeouts).to.deep.equal({ connect: 15_000, boot: 300_000, kubeadm: 600_000, rollout: 600_000 });
    expect(spec.hosts[0]).to.deep.include({ name: "a", storage: "/var/lib/kvmesh", accelerator: "kvm" });
    expect(spec.hosts[0]!.endpoint).to.deep.equal({ address: "192.0.2.1", port: 22, user: "root", hostKey: HOST_KEY });
    // The first core of each NUMA node, with its sibling.
    expect(spec.hosts[0]!.housekeeping).to.deep.equal([0, 8, 16, 24]);
    expect(spec.pools.map(({ name }) => name)).to.deep.equal(["control", "worker"]);
    expect(spec.pools[0]).to.deep.include({
      source: "hosts",
      memory: 8 * 2 ** 30,
      hosts: ["a"],
      cpu: "dedicated",
      maxSteal: 1,
    });
    expect(spec.kubernetes).to.deep.include({
      endpoint: { host: "10.0.10.11", port: 6443 },
      packages: {
        source: "apt",
        repository: "https://pkgs.k8s.io/core:/stable:/v1.34/deb/",
        keyFingerprints: ["DE15B14486CD377B9E876E1A234654DA9A296436"],
      },
      podCidr: "10.244.0.0/16",
    });
    expect(spec.mesh).to.deep.include({ provider: "istio", replicas: 1, mtls: "unset", traceSampling: 1 });
    expect(spec.mesh.sidecarResources).to.deep.equal({
      requests: { cpu: "100m", memory: "128Mi" },
      limits: { cpu: "2000m", memory: "1024Mi" },
    });
    expect(spec.namespaces).to.deep.equal([
      { name: "shop", injection: true, mtls: "unset", podSecurity: "privileged", existing: false },
    ]);
    expect(spec.services[0]).to.deep.include({ name: "web", namespace: "shop", port: 80, targetPort: 80 });
    expect(spec.canaries).to.deep.equal([
      {
        name: "web",
        namespace: "shop",
        service: "web",
        hosts: ["web"],
        gateways: [],
        weights: [
          { subset: "v1", weight: 90 },
          { subset: "v2", weight: 10 },
        ],
      },
    ]);
  });

  it("takes a virtual IP as the API's endpoint, with what kube-vip needs", () => {
    expect(specOf({ "kubernetes.endpoint": { vip: { address: "10.0.10.9" } } }).kubernetes.endpoint).to.deep.equal({
      host: "10.0.10.9",
      port: 6443,
      vip: { image: "ghcr.io/kube-vip/kube-vip:v1.2.2", lease: 15_000 },
    });
    expect(specOf({ "kubernetes.endpoint": "api.example.net:443" }).kubernetes.endpoint).to.deep.equal({
      host: "api.example.net",
      port: 443,
    });
  });

  it("is strict by default: production, two replicas, STRICT everywhere", () => {
    const spec = specOf({
      environment: undefined,
      "pools.control.count": 3,
      "pools.control.addresses": "10.0.10.11-10.0.10.13",
      "kubernetes.endpoint": "10.0.10.10",
    });
    expect(spec).to.include({ environment: "production" });
    expect(spec.mesh).to.include({ replicas: 2, gatewayReplicas: 2, mtls: "STRICT" });
    expect(spec.namespaces[0]).to.include({ mtls: "STRICT" });
    expect(spec.kubernetes.endpoint).to.deep.equal({ host: "10.0.10.10", port: 6443 });
  });

  it("takes existing machines as nodes, without hosts, image or network", () => {
    const machine = {
      endpoint: { address: "198.51.100.5", hostKey: HOST_KEY },
      location: { country: "NO" },
      plan: "metal",
      vcpus: 8,
    };
    const spec = specOf({
      hosts: undefined,
      image: undefined,
      network: undefined,
      ssh: undefined,
      pools: { all: { role: "control-plane", machines: { "cp-1": machine } } },
    });
    expect(spec.pools[0]).to.deep.equal({
      name: "all",
      source: "machines",
      role: "control-plane",
      labels: {},
      taints: [],
      maxFsync: 10,
      maxUnavailable: 1,
      dataFolder: "/var/lib/etcd",
      machines: [
        {
          ...machine,
          name: "cp-1",
          endpoint: { ...machine.endpoint, port: 22, user: "root" },
          nodeAddress: "198.51.100.5",
          maxSteal: 1,
          hypervisors: ["none"],
        },
      ],
    });
  });

  it("leaves to policies what they name better: shared CPUs, few vCPUs, emulation, demo, plain traffic", () => {
    const changes = {
      environment: "production",
      "pools.control.count": 3,
      "pools.control.addresses": "10.0.10.11-10.0.10.13",
      "kubernetes.endpoint": "10.0.10.10:6443",
      "pools.worker.cpu": "shared",
      "pools.worker.vcpus": 1,
      "hosts.a.accelerator": "qemu",
      "mesh.profile": "demo",
      "mesh.mtls": "PERMISSIVE",
    };
    expect(problemsOf(changes)).to.deep.equal([]);
  });
});

describe("rawConfig", () => {
  it("takes our namespace, structured values as JSON, the rest as text", () => {
    const all = { "kvmesh:hosts": '{"a":{"x":1}}', "kvmesh:environment": "staging", "kubernetes:context": "x" };
    expect(rawConfig(all)).to.deep.equal({ hosts: { a: { x: 1 } }, environment: "staging" });
  });
});
