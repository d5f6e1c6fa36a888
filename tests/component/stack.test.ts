import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import * as yaml from "yaml";
import program from "../../index";
import { find, recordResources, type RecordedResource } from "../support/recorded-resources";

const checkout = path.resolve(__dirname, "../../..");
const HASH = `sha256:${"a".repeat(64)}`;

interface Composed {
  readonly resources: readonly RecordedResource[];
  readonly outputs: Readonly<Record<string, unknown>>;
}

/** The program itself, on Pulumi's mocks, with an example stack file as its configuration. */
async function composed(stack: string): Promise<Composed> {
  const file = yaml.parse(fs.readFileSync(path.join(checkout, `Pulumi.${stack}.yaml`), "utf8")) as {
    config: Record<string, unknown>;
  };
  pulumi.runtime.setAllConfig(
    Object.fromEntries(
      Object.entries(file.config).map(([key, value]) => [
        key,
        typeof value === "string" ? value : JSON.stringify(value),
      ]),
    ),
  );
  let outputs: Record<string, unknown> = {};
  try {
    const resources = await recordResources(
      async () => {
        outputs = await program();
      },
      {
        "kvmesh:index:HostKey": { publicKey: "ssh-ed25519 AAAA", privateKey: "private" },
        "kvmesh:index:Preflight": { record: { takenAt: "" } },
        "kvmesh:index:Evidence": { record: { takenAt: "", verdict: "pass", values: [] }, digest: "" },
        "kvmesh:index:Cluster": { clusterId: "id-1", kubeconfig: "apiVersion: v1", caCertHash: HASH },
        "kvmesh:index:Chart": { path: ".kvmesh/charts/some-chart" },
      },
    );
    return { resources, outputs };
  } finally {
    pulumi.runtime.setAllConfig({});
  }
}

for (const [stack, cluster] of [
  ["prod", "nor"],
  ["staging", "nor-staging"],
] as const) {
  describe(`the whole stack ${stack}`, () => {
    let made: Composed;
    const count = (type: string): number => made.resources.filter((resource) => resource.type === type).length;
    before(async () => {
      made = await composed(stack);
    });

    it("is six machines with a key, a lease, a disk and a check each, on three hosts with one image each", () => {
      for (const kind of [
        "HostKey",
        "CoreLease",
        "Volume",
        "Domain",
        "Machine",
        "Preflight",
        "Evidence",
        "NodeRuntime",
      ])
        expect(count(`kvmesh:index:${kind}`), kind).to.equal(6);
      expect(count("kvmesh:index:Image")).to.equal(3);
    });

    it("is one cluster and six nodes of it, and everything Ready before the mesh", () => {
      expect(count("kvmesh:index:Cluster")).to.equal(1);
      expect(count("kvmesh:index:ClusterNode")).to.equal(6);
      expect(count("kvmesh:index:ClusterReady")).to.equal(1);
      expect(count("kubernetes:apps/v1:DaemonSet")).to.equal(1);
    });

    it("is Istio by three charts and releases, and a canary with its service", () => {
      expect(count("kvmesh:index:Chart")).to.equal(3);
      expect(count("kubernetes:helm.sh/v3:Release")).to.equal(3);
      expect(count("kubernetes:apps/v1:Deployment")).to.equal(2);
      for (const kind of ["Gateway", "DestinationRule", "VirtualService"])
        expect(
          made.resources.filter(({ type }) => type.startsWith("kubernetes:") && type.endsWith(`:${kind}`)),
          kind,
        ).to.have.length(1);
    });

    it("has subsets before the routes that name them", () => {
      const of = (kind: string) => made.resources.find(({ type }) => type.endsWith(`:${kind}`))!;
      expect(of("VirtualService").dependsOn).to.include(of("DestinationRule").name);
    });

    it("marks what it makes with its environment", () => {
      expect(find(made.resources, "kvmesh:index:Cluster", cluster).inputs)
        .to.have.property("owner")
        .that.includes({ cluster, environment: stack === "prod" ? "production" : "staging" });
    });

    it("hands out its kubeconfig as a secret, and nothing else that is one", async () => {
      const { kubeconfig, ...others } = made.outputs;
      expect(await pulumi.isSecret(kubeconfig as pulumi.Output<string>)).to.equal(true);
      expect(Object.keys(others).sort()).to.deep.equal(["api", "canaries", "evidence", "nodes", "versions"]);
      expect(others["nodes"]).to.have.length(6);
      const { evidence, ...plain } = others;
      expect(Object.keys(evidence as object)).to.have.length(6);
      expect(JSON.stringify(plain)).not.to.match(/PRIVATE|private|apiVersion/);
    });
  });
}
