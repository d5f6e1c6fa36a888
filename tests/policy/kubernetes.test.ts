import { expect } from "chai";
import {
  authzNodeRbac,
  controlPlaneHa,
  kubeconfigSecret,
  kubeletHardened,
  kubernetesSupported,
  statefulProtected,
} from "../../policies/kubernetes";
import { artifactPinned } from "../../policies/supply";
import { cluster, deployment, domain, clusterNode, release } from "./fixtures";
import { judge, judgeStack, unknown, type Subject } from "./harness";

describe("Kubernetes policies", () => {
  describe("control-plane-ha", () => {
    const on = (address: string, name: string): Subject => domain({ host: { address, hostKey: "k" } }, name);
    const three = [
      clusterNode("cp-0"),
      clusterNode("cp-1"),
      clusterNode("cp-2"),
      clusterNode("worker-0", { role: "worker" }),
    ];

    it("accepts three control planes on three hosts, or on machines of their own", () => {
      expect(judgeStack(controlPlaneHa, three).violations).to.deep.equal([]);
      const spread = [...three, on("h1", "cp-0"), on("h2", "cp-1"), on("h3", "cp-2")];
      expect(judgeStack(controlPlaneHa, spread).violations).to.deep.equal([]);
    });

    it("refuses one, two and four", () => {
      expect(judgeStack(controlPlaneHa, [clusterNode("cp-0")]).violations[0]).to.include("found 1 machine (");
      expect(judgeStack(controlPlaneHa, three.slice(0, 2)).violations[0]).to.include("found 2 machines");
      expect(judgeStack(controlPlaneHa, [...three, clusterNode("cp-3")]).violations[0]).to.include("found 4 machines");
    });

    it("refuses a host whose loss ends the quorum", () => {
      const together = [...three, on("h1", "cp-0"), on("h1", "cp-1"), on("h3", "cp-2")];
      expect(judgeStack(controlPlaneHa, together).violations[0]).to.include(
        "cp-0, cp-1 on host h1: without it, 1 of 3 remain",
      );
    });

    it("has nothing to say without a control plane, and no verdict on an unknown role", () => {
      expect(judgeStack(controlPlaneHa, [domain()]).notApplicable).to.be.a("string");
      expect(judgeStack(controlPlaneHa, [clusterNode("cp-1", { role: unknown.string })]).unknown).to.equal("role");
    });
  });

  it("stateful-protected: control planes, not workers", () => {
    expect(judge(statefulProtected, cluster()).violations).to.deep.equal([]);
    expect(judge(statefulProtected, cluster({}, { protect: false })).violations[0]).to.include("protect is not set");
    expect(judge(statefulProtected, clusterNode("cp-1", {}, { protect: false })).violations).to.have.length(1);
    expect(judge(statefulProtected, clusterNode("w", { role: "worker" }, { protect: false })).notApplicable).to.be.a(
      "string",
    );
    expect(judge(statefulProtected, clusterNode("w", { role: unknown.string })).unknown).to.equal("role");
  });

  it("kubernetes-supported: a minor that is maintained on the day of the judgement", () => {
    const plane = (kubernetesVersion: string) => cluster({ kubernetesVersion });
    const on = (today: string) => ({ today });
    expect(judge(kubernetesSupported, plane("1.34.2"), on("2026-10-27")).violations).to.deep.equal([]);
    expect(judge(kubernetesSupported, plane("1.34.2"), on("2026-10-28")).violations[0]).to.match(
      /found Kubernetes 1\.34\.2, whose minor ended on 2026-10-27\nrequired: one of 1\.35, 1\.36, 1\.37 \(maintained on 2026-10-28\)/,
    );
    expect(judge(kubernetesSupported, plane("1.18.20")).violations[0]).to.include("found Kubernetes 1.18.20");
    // A project's next minor is not refused because the data is older than it; what nobody released is.
    expect(judge(kubernetesSupported, plane("1.38.0")).gaps?.[0]).to.include("newer than what was known");
    expect(judge(kubernetesSupported, plane("1.99.0")).violations).to.have.length(1);
    expect(judge(kubernetesSupported, plane("1.18.20"), on("2028-01-01")).violations[0]).to.include("days old");
    expect(judge(kubernetesSupported, clusterNode("w", { kubernetesVersion: unknown.string })).unknown).to.equal(
      "kubernetesVersion",
    );
  });

  it("kubeconfig-secret: marked secret", () => {
    expect(judge(kubeconfigSecret, cluster()).violations).to.deep.equal([]);
    expect(judge(kubeconfigSecret, cluster({}, { additionalSecretOutputs: [] })).violations).to.have.length(1);
  });

  it("authz-node-rbac: nothing weaker than kubeadm's default, in both forms of extraArgs", () => {
    const given = (extraArgs: string) => ({
      config: `kind: ClusterConfiguration\napiServer: { extraArgs: ${extraArgs} }\n`,
    });
    expect(judge(authzNodeRbac, cluster()).violations).to.deep.equal([]);
    expect(judge(authzNodeRbac, cluster(given('{ authorization-mode: "RBAC,Node" }'))).violations).to.deep.equal([]);
    expect(judge(authzNodeRbac, cluster(given("{ authorization-mode: AlwaysAllow }"))).violations[0]).to.include(
      "authorization-mode AlwaysAllow",
    );
    expect(
      judge(authzNodeRbac, cluster(given('[{ name: authorization-mode, value: "Node,RBAC,ABAC" }]'))).violations[0],
    ).to.include("Node,RBAC,ABAC");
    const kubelet = { config: "kind: KubeletConfiguration\nauthorization: { mode: AlwaysAllow }\n" };
    expect(judge(authzNodeRbac, cluster(kubelet)).violations[0]).to.include("kubelet authorization mode");
    expect(judge(authzNodeRbac, cluster({ config: unknown.string })).unknown).to.equal("config");
  });

  it("kubelet-hardened: nothing weaker than kubeadm's default", () => {
    const kubelet = (text: string) => cluster({ config: `kind: KubeletConfiguration\n${text}\n` });
    expect(judge(kubeletHardened, cluster()).violations).to.deep.equal([]);
    expect(judge(kubeletHardened, kubelet("readOnlyPort: 10255")).violations[0]).to.include("readOnlyPort 10255");
    expect(judge(kubeletHardened, kubelet("rotateCertificates: false")).violations).to.have.length(1);
    expect(judge(kubeletHardened, cluster({ config: unknown.string })).unknown).to.equal("config");
  });

  describe("artifact-pinned", () => {
    const digest = `sha256:${"a".repeat(64)}`;

    it("images: a tag other than latest, or a digest", () => {
      for (const image of ["shop/cart:1.2.3", `shop/cart@${digest}`, "registry:5000/cart:v1", "auto"]) {
        expect(judge(artifactPinned, deployment(image)).violations, image).to.deep.equal([]);
      }
      for (const image of ["shop/cart", "shop/cart:latest", "registry:5000/cart", "cart@sha256:short"]) {
        expect(judge(artifactPinned, deployment(image)).violations, image).to.have.length(1);
      }
      expect(judge(artifactPinned, deployment(unknown.string)).unknown).to.match(/image$/);
    });

    it("charts: exact versions; a folder is what it is", () => {
      const chart = (version?: string): Subject => ({ type: "kvmesh:index:Chart", props: { name: "istiod", version } });
      expect(judge(artifactPinned, chart("1.28.3")).violations).to.deep.equal([]);
      expect(judge(artifactPinned, chart("^1.28")).violations[0]).to.include("version ^1.28");
      expect(judge(artifactPinned, chart()).violations[0]).to.include("not given");
      expect(judge(artifactPinned, release("istiod")).notApplicable).to.be.a("string");
    });

    it("releases: by their version; without one, a folder known only on up is the Chart's business", () => {
      const made = (props: object): Subject => ({
        type: "kubernetes:helm.sh/v3:Release",
        props: { name: "r", ...props },
      });
      const repositoryOpts = { repo: "https://charts.example" };
      expect(judge(artifactPinned, made({ chart: unknown.string })).notApplicable).to.include("in the run");
      expect(judge(artifactPinned, made({ chart: unknown.string, version: "~1.2" })).violations).to.have.length(1);
      expect(judge(artifactPinned, made({ chart: unknown.string, version: "1.2.3" }))).to.deep.equal({
        violations: [],
      });
      expect(judge(artifactPinned, made({ chart: unknown.string, repositoryOpts })).violations).to.have.length(1);
      expect(judge(artifactPinned, made({ chart: "oci://registry.example/r" })).violations).to.have.length(1);
      expect(judge(artifactPinned, made({ chart: "folder", version: unknown.string })).unknown).to.equal("version");
    });

    it("base images: a digest", () => {
      const image = (value: string): Subject => ({ type: "kvmesh:index:Image", props: { name: "i", digest: value } });
      expect(judge(artifactPinned, image(digest)).violations).to.deep.equal([]);
      expect(judge(artifactPinned, image("latest")).violations).to.have.length(1);
    });
  });
});
