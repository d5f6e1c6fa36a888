import { expect } from "chai";
import { KubernetesCluster } from "../../components/cluster";
import { NodeLayer } from "../../components/nodes";
import { rolledOutFrom, type RolledOut } from "../../components/nodes/rollout";
import { machineOutputs, production } from "../support/node-layer";
import { recordResources, type RecordedResource } from "../support/recorded-resources";

const PLANES = ["nor-control-0", "nor-control-1", "nor-control-2"];

/** Nodes and cluster of the production stack, where the state has these nodes. */
function declare(rolledOut: RolledOut): Promise<readonly RecordedResource[]> {
  const spec = production();
  const owner = { project: "kvmesh", stack: "prod", cluster: spec.clusterName, environment: spec.environment };
  return recordResources(
    () => {
      const { nodes } = new NodeLayer(spec.clusterName, { ...spec, owner, placed: [], rolledOut });
      new KubernetesCluster(spec.clusterName, {
        clusterName: spec.clusterName,
        owner,
        spec: spec.kubernetes,
        nodes,
        timeouts: spec.timeouts,
      });
    },
    {
      ...machineOutputs,
      "kvmesh:index:Cluster": { clusterId: "id", kubeconfig: "apiVersion: v1", caCertHash: `sha256:${"a".repeat(64)}` },
    },
  );
}

/** As a state has them. */
function state(nodes: Readonly<Record<string, { begun: object; ready: object }>>): RolledOut {
  return rolledOutFrom(
    Object.fromEntries(
      Object.entries(nodes).flatMap(([name, { begun, ready }]) => [
        [`m-${name}`, { type: "kvmesh:index:Machine", outputs: { name } }],
        [`t-${name}`, { type: "kvmesh:index:NodeTurn", outputs: { name, revision: begun } }],
        [`r-${name}`, { type: "kvmesh:index:NodeReady", outputs: { name, revision: ready } }],
      ]),
    ),
  );
}

describe("a change of nodes that are there", () => {
  it("goes through control planes one after the other, then through the workers, each declared only in its turn", async () => {
    const first = await declare(rolledOutFrom({}));
    const revisions = new Map(
      first.flatMap(({ type, name, inputs }) =>
        type === "kvmesh:index:NodeTurn" ? [[name, inputs["revision"] as Record<string, string>] as const] : [],
      ),
    );
    const workers = [...revisions.keys()].filter((name) => !PLANES.includes(name));
    expect(workers.length).to.be.greaterThan(1);
    // Every node has another image.
    const old = [...revisions].map(([name, revision]) => {
      const before = { ...revision, image: "another" };
      return [name, { begun: before, ready: before }] as const;
    });
    const made = await declare(state(Object.fromEntries(old)));
    const at = (type: string, name: string): number =>
      made.findIndex((one) => one.type === `kvmesh:index:${type}` && one.name === name);
    const order = [...PLANES, ...workers];
    for (const [i, name] of order.entries()) {
      const [turn, lease, ready] = [at("NodeTurn", name), at("CoreLease", name), at("NodeReady", name)];
      expect([turn, lease, ready], name).to.deep.equal([turn, lease, ready].sort((a, b) => a - b));
      if (i > 0) expect(turn, name).to.be.greaterThan(at("NodeReady", order[i - 1]!));
    }
    // The cluster does not wait for control planes that wait for it.
    expect(made.find(({ type }) => type === "kvmesh:index:Cluster")?.dependsOn).not.to.include("nor-control-1-runtime");
  });

  it("brings first to its end what was begun, whichever control plane it was", async () => {
    const first = await declare(rolledOutFrom({}));
    const revisions = first.flatMap(({ type, name, inputs }) =>
      type === "kvmesh:index:NodeTurn" ? [{ name, now: inputs["revision"] as object }] : [],
    );
    const nodes = revisions.map(({ name, now }) => {
      const old = { ...now, image: "another" };
      return [name, name === PLANES[2] ? { begun: now, ready: old } : { begun: old, ready: old }] as const;
    });
    const made = await declare(state(Object.fromEntries(nodes)));
    const ready = made.flatMap(({ type, name }) => (type === "kvmesh:index:NodeReady" ? [name] : []));
    expect(ready.slice(0, 3)).to.deep.equal([PLANES[2], PLANES[0], PLANES[1]]);
    expect(ready).to.have.length(nodes.length);
  });
});
