import * as fs from "node:fs";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { KubernetesCluster } from "./components/cluster";
import { MeshLayer } from "./components/mesh";
import { NodeLayer, PlacementError, remembered } from "./components/nodes";
import { ConfigError, formatProblem, parseStack, rawConfig, refuseUnfitProduction, type StackSpec } from "./config";
import { Provider } from "./provider/sdk";
import { staleness, today } from "./rules/versions";

/** Composition root: the stack file, then nodes, then the cluster on them, then the mesh in it. */
export = async (): Promise<Record<string, unknown>> => {
  try {
    const spec = readSpec();
    if (!pulumi.runtime.isDryRun()) refuseUnfitProduction(spec, pulumi.getStack());
    return compose(spec, await remembered(spec.hosts));
  } catch (error) {
    throw explained(error);
  }
};

function compose(spec: StackSpec, memory: Awaited<ReturnType<typeof remembered>>): Record<string, unknown> {
  const { clusterName, timeouts, mesh } = spec;
  const owner = {
    project: pulumi.getProject(),
    stack: pulumi.getStack(),
    cluster: clusterName,
    environment: spec.environment,
  };
  const kvmesh = new Provider("kvmesh", {
    identityFile: spec.ssh.identityFile,
    connectTimeoutSeconds: timeouts.connect / 1000,
    hosts: Object.fromEntries(spec.hosts.map(({ name, endpoint }) => [name, { endpoint }])),
    cluster: clusterName,
    environment: spec.environment,
    breakGlass: spec.kubernetes.breakGlass,
  });
  let routed: (done: unknown) => void = () => {};
  const afterwards = new Promise((resolve) => (routed = resolve));
  const machines = new NodeLayer(clusterName, { ...spec, ...memory, owner, afterwards }, { providers: { kvmesh } });
  const cluster = new KubernetesCluster(
    clusterName,
    { clusterName, owner, spec: spec.kubernetes, nodes: machines.nodes, timeouts },
    { providers: { kvmesh } },
  );
  const routes = new MeshLayer(clusterName, spec, {
    providers: { kubernetes: cluster.kubernetes, kvmesh },
    dependsOn: [...cluster.ready],
    deletedWith: cluster.cluster,
  });
  // An urgent revert does not wait for a measurement that is merely due.
  routed(done([...cluster.ready, ...routes.canaries.map(({ virtualService }) => virtualService)]));

  return {
    kubeconfig: pulumi.secret(cluster.kubeconfig),
    nodes: machines.summary,
    evidence: machines.evidence,
    api: `https://${spec.kubernetes.endpoint.host}:${spec.kubernetes.endpoint.port}`,
    versions: { kubernetes: spec.kubernetes.version, ...(mesh.provider === "none" ? {} : { istio: mesh.version }) },
    canaries: Object.fromEntries(
      spec.canaries.map(({ namespace, name, weights }) => [
        `${namespace}/${name}`,
        Object.fromEntries(weights.map(({ subset, weight }) => [subset, weight])),
      ]),
    ),
  };
}

/** When the engine is done with all of these. */
function done(resources: readonly pulumi.Resource[]): Promise<unknown> {
  return Promise.all(resources.map(({ urn }) => new Promise((resolve) => void urn.apply(resolve))));
}

function readSpec(): StackSpec {
  const old = staleness(today());
  if (old !== undefined) void pulumi.log.warn(old);
  const checkout = path.resolve(__dirname, "..");
  return parseStack(rawConfig(pulumi.runtime.allConfig()), {
    stack: pulumi.getStack(),
    readFacts: (file) => JSON.parse(fs.readFileSync(path.resolve(checkout, file), "utf8")) as unknown,
    warn: (problem) => void pulumi.log.warn(formatProblem(problem)),
    now: new Date(),
  });
}

/** What the person has to change is printed as one list; a stack trace of ours would only hide it. */
function explained(error: unknown): unknown {
  const { message } = error as Error;
  if ([ConfigError, PlacementError].some((kind) => error instanceof kind)) {
    return new pulumi.RunError(message);
  }
  if (process.env.KVMESH_DEBUG) return error;
  return new pulumi.RunError(
    `a fault of kvmesh itself: ${message}\n  KVMESH_DEBUG=1 shows where. Report that, please.`,
  );
}
