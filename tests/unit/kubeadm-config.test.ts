import { expect } from "chai";
import { parseAllDocuments } from "yaml";
import { apiVersionFor, joinConfig, type KubeadmNode } from "../../components/cluster/kubeadm-config";
import type { KubernetesSpec } from "../../config/spec";
import type { Milliseconds } from "../../config/units";
import { lastingChanges } from "../../provider/node/config-diff";
import { foundingConfig, kubeadmSettings } from "../support/cluster-spec";

type Document = Record<string, Record<string, unknown>> & { readonly kind: string; readonly apiVersion: string };

function byKind(text: string): Record<string, Document> {
  return Object.fromEntries(
    parseAllDocuments(text).map((document) => [(document.toJS() as Document).kind, document.toJS() as Document]),
  );
}

const first: KubeadmNode = { name: "cp-0", role: "control-plane", address: "10.0.0.10" };
const worker: KubeadmNode = { name: "w-0", role: "worker", address: "10.0.0.20" };

describe("kubeadm configuration", () => {
  for (const [version, api] of [
    ["1.18.20", "v1beta2"],
    ["1.21.14", "v1beta2"],
    ["1.22.0", "v1beta3"],
    ["1.30.14", "v1beta3"],
    ["1.31.0", "v1beta4"],
    ["1.34.2", "v1beta4"],
  ] as const) {
    it(`of ${version} is ${api}`, () => {
      expect(apiVersionFor(version)).to.equal(api);
      const { InitConfiguration: init, ClusterConfiguration: cluster } = byKind(
        foundingConfig(kubeadmSettings({ version }), first),
      );
      const { JoinConfiguration: join } = byKind(joinConfig(kubeadmSettings({ version }), worker));
      for (const document of [init, cluster, join]) expect(document?.apiVersion).to.equal(`kubeadm.k8s.io/${api}`);
      expect(cluster?.kubernetesVersion).to.equal(`v${version}`);
      // Arguments are a list from v1beta4 on, a map before.
      const registration = init?.nodeRegistration;
      expect(registration?.kubeletExtraArgs).to.deep.equal(
        api === "v1beta4" ? [{ name: "node-ip", value: "10.0.0.10" }] : { "node-ip": "10.0.0.10" },
      );
      expect(registration?.imagePullPolicy).to.equal(api === "v1beta2" ? undefined : "IfNotPresent");
      // The time limits moved from two places into one.
      expect(init?.timeouts?.controlPlaneComponentHealthCheck).to.equal(api === "v1beta4" ? "8m0s" : undefined);
      expect(cluster?.apiServer?.timeoutForControlPlane).to.equal(api === "v1beta4" ? undefined : "8m0s");
      expect(join?.discovery?.timeout).to.equal(api === "v1beta4" ? undefined : "8m0s");
    });
  }

  it("lets a control plane's kubelet talk to its own API server behind a shared endpoint, by a gate from 1.31 to 1.35", () => {
    const gates = (version: string, host: string): unknown =>
      byKind(
        foundingConfig(
          { ...kubeadmSettings({ version, endpoint: { host, port: 6443 } }), sharedEndpoint: host !== first.address },
          first,
        ),
      ).ClusterConfiguration?.featureGates;
    for (const version of ["1.31.0", "1.34.2", "1.35.4"]) {
      expect(gates(version, "10.0.0.9"), version).to.deep.equal({ ControlPlaneKubeletLocalMode: true });
      // The only control plane's own address: there is no other.
      expect(gates(version, "10.0.0.10"), version).to.equal(undefined);
    }
    for (const version of ["1.30.0", "1.36.3"]) expect(gates(version, "10.0.0.9"), version).to.equal(undefined);
  });

  it("serves the API on the port of a virtual IP, which is the node's own, and not on a load balancer's", () => {
    const vip = { image: "kube-vip:v1", lease: 15_000 as Milliseconds };
    const port = (endpoint: KubernetesSpec["endpoint"]): unknown =>
      byKind(foundingConfig(kubeadmSettings({ endpoint }), first)).InitConfiguration?.localAPIEndpoint?.bindPort;
    expect(port({ host: "10.0.0.9", port: 7443, vip })).to.equal(7443);
    expect(port({ host: "10.0.0.9", port: 7443 })).to.equal(6443);
  });

  it("names socket, endpoint, networks and images", () => {
    const parts = byKind(
      foundingConfig(
        kubeadmSettings({
          endpoint: { host: "api.example.net", port: 443 },
          imageRepository: "mirror.example.net/k8s",
        }),
        first,
      ),
    );
    expect(parts.ClusterConfiguration).to.deep.include({
      clusterName: "c1",
      controlPlaneEndpoint: "api.example.net:443",
      imageRepository: "mirror.example.net/k8s",
      networking: { podSubnet: "10.244.0.0/16", serviceSubnet: "10.96.0.0/16", dnsDomain: "cluster.local" },
    });
    expect(parts.ClusterConfiguration?.apiServer?.certSANs).to.deep.equal(["api.example.net", "127.0.0.1"]);
    // Behind a load balancer the API itself keeps its own port.
    expect(parts.InitConfiguration?.localAPIEndpoint).to.deep.equal({ advertiseAddress: "10.0.0.10", bindPort: 6443 });
    expect(parts.InitConfiguration?.nodeRegistration?.criSocket).to.equal("unix:///run/containerd/containerd.sock");
  });

  it("listens on the endpoint's port where the endpoint is the machine itself", () => {
    const parts = byKind(foundingConfig(kubeadmSettings({ endpoint: { host: "10.0.0.10", port: 8443 } }), first));
    expect(parts.InitConfiguration?.localAPIEndpoint).to.deep.equal({ advertiseAddress: "10.0.0.10", bindPort: 8443 });
  });

  it("takes the taint of control planes away only when that is asked for, and never touches workers", () => {
    const taints = (text: string, kind: string): unknown => byKind(text)[kind]?.nodeRegistration?.taints;
    expect(
      taints(foundingConfig(kubeadmSettings({ scheduleOnControlPlanes: true }), first), "InitConfiguration"),
    ).to.deep.equal([]);
    expect(taints(foundingConfig(kubeadmSettings(), first), "InitConfiguration")).to.equal(undefined);
    expect(
      taints(joinConfig(kubeadmSettings({ scheduleOnControlPlanes: true }), worker), "JoinConfiguration"),
    ).to.equal(undefined);
  });

  it("registers a pool's taints, beside a control plane's own unless that one is taken away", () => {
    const taints = [{ key: "dedicated", value: "batch", effect: "NoSchedule" }] as const;
    const own = { key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" };
    const registered = (text: string, kind: string): unknown => byKind(text)[kind]?.nodeRegistration?.taints;
    expect(registered(joinConfig(kubeadmSettings(), { ...worker, taints }), "JoinConfiguration")).to.deep.equal(taints);
    expect(registered(foundingConfig(kubeadmSettings(), { ...first, taints }), "InitConfiguration")).to.deep.equal([
      own,
      ...taints,
    ]);
    const open = kubeadmSettings({ scheduleOnControlPlanes: true });
    expect(registered(foundingConfig(open, { ...first, taints }), "InitConfiguration")).to.deep.equal(taints);
  });

  it("passes kubelet and kube-proxy fields through, over its own defaults", () => {
    const parts = byKind(
      foundingConfig(
        kubeadmSettings({ kubelet: { cgroupDriver: "cgroupfs", maxPods: 50 }, kubeProxy: { mode: "nftables" } }),
        first,
      ),
    );
    expect(parts.KubeletConfiguration).to.deep.include({ cgroupDriver: "cgroupfs", maxPods: 50 });
    expect(parts.KubeProxyConfiguration).to.deep.include({ mode: "nftables" });
  });

  it("joins a control plane with an API address of its own", () => {
    const join = byKind(joinConfig(kubeadmSettings(), { ...worker, role: "control-plane" })).JoinConfiguration;
    expect(join?.controlPlane).to.deep.equal({ localAPIEndpoint: { advertiseAddress: "10.0.0.20", bindPort: 6443 } });
    expect(byKind(joinConfig(kubeadmSettings(), worker)).JoinConfiguration?.controlPlane).to.equal(undefined);
  });

  it("holds nothing that looks like a token or key", () => {
    const text = foundingConfig(kubeadmSettings(), first) + joinConfig(kubeadmSettings(), worker);
    expect(text).not.to.match(/token:|certificateKey|[a-z0-9]{6}\.[a-z0-9]{16}/);
  });
});

describe("kubeadm configuration: changes", () => {
  const before = foundingConfig(kubeadmSettings(), first);

  it("of what kubeadm uses only while it runs are none", () => {
    expect(lastingChanges(before, before)).to.deep.equal([]);
    expect(
      lastingChanges(before, foundingConfig(kubeadmSettings({ imagePullPolicy: "Never" }, 1_200_000), first)),
    ).to.deep.equal([]);
  });

  it("name every path that a node would have to follow", () => {
    expect(
      lastingChanges(
        before,
        foundingConfig(kubeadmSettings({ podCidr: "10.9.0.0/16", kubelet: { maxPods: 9 } }), first),
      ),
    ).to.deep.equal(["ClusterConfiguration.networking.podSubnet", "KubeletConfiguration.maxPods"]);
  });
});
