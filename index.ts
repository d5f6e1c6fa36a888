import * as fs from "node:fs";
import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { MeshLayer } from "./components/mesh";
import { NodeLayer, PlacementError, placedMachines } from "./components/nodes";
import { ConfigError, formatProblem, parseStack, rawConfig, type StackSpec } from "./config";
import { Provider } from "./provider/sdk";

/** Composition root: the stack file, then nodes, then the cluster on them, then the mesh in it. */
export = async (): Promise<Record<string, unknown>> => {
  const spec = asRunError(readSpec);
  const owner = {
    project: pulumi.getProject(),
    stack: pulumi.getStack(),
    cluster: spec.clusterName,
    environment: spec.environment,
  };
  const plugin = new Provider("kvmesh", {
    identityFile: spec.ssh.identityFile,
    connectTimeoutSeconds: spec.timeouts.connect / 1000,
  });
  const placed = await placedMachines(spec.hosts);
  const nodes = asRunError(
    () => new NodeLayer(spec.clusterName, { ...spec, owner, placed }, { providers: { kvmesh: plugin } }),
  );
  void MeshLayer;
  return { nodes: nodes.summary };
};

function readSpec(): StackSpec {
  const checkout = path.resolve(__dirname, "..");
  return parseStack(rawConfig(pulumi.runtime.allConfig()), {
    stack: pulumi.getStack(),
    readFacts: (file) => JSON.parse(fs.readFileSync(path.resolve(checkout, file), "utf8")) as unknown,
    warn: (problem) => void pulumi.log.warn(formatProblem(problem)),
    now: new Date(),
  });
}

/** What the person has to change is printed as one list; a stack trace of ours would only hide it. */
function asRunError<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (error instanceof ConfigError || error instanceof PlacementError) throw new pulumi.RunError(error.message);
    throw error;
  }
}
