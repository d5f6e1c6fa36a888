import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";
import { NodeLayer } from "../../components/nodes";
import { parseStack, type StackSpec } from "../../config";
import { exampleHostKey } from "./hosts";
import { recordResources, type RecordedResource } from "./recorded-resources";

const checkout = path.resolve(__dirname, "../../..");
/** A committed file. */
export const read = (file: string) => fs.readFileSync(path.join(checkout, file), "utf8");

/** The committed production stack, with changes to the values of its sections. */
export function production(change: (pools: Record<string, object>) => void = () => {}): StackSpec {
  const { config } = parse(read("Pulumi.prod.yaml")) as { config: Record<string, unknown> };
  const raw = Object.fromEntries(Object.entries(config).map(([key, value]) => [key.replace("kvmesh:", ""), value]));
  change(raw["pools"] as Record<string, object>);
  return parseStack(raw, { stack: "prod", readFacts: (file) => JSON.parse(read(file)) as unknown });
}

const record = {
  takenAt: "2026-11-22T06:00:00.000Z",
  verdict: "pass",
  values: [
    { id: "steal", measured: 0.1, unit: "%" },
    { id: "fsync-p50-1", measured: 0.4, unit: "ms" },
    { id: "fsync-p99-1", measured: 1.25, unit: "ms" },
  ],
};

export const machineOutputs = {
  "kvmesh:index:HostKey": { privateKey: "PRIVATE", publicKey: exampleHostKey() },
  "kvmesh:index:Image": { path: "/var/lib/kvmesh/base.qcow2" },
  "kvmesh:index:Volume": { path: "/var/lib/kvmesh/disk.qcow2" },
  "kvmesh:index:BlockDevice": { path: "/dev/disk/by-id/device" },
  "kvmesh:index:Domain": { uuid: "0b6f0f3c-0000-4000-8000-000000000001" },
  "kvmesh:index:Preflight": { record },
  "kvmesh:index:Evidence": { record, digest: "sha256:00" },
};

/** What NodeLayer declares for a stack, and the layer itself. */
export async function declared(spec: StackSpec): Promise<{ layer: NodeLayer; resources: readonly RecordedResource[] }> {
  const owner = { project: "kvmesh", stack: "prod", cluster: spec.clusterName, environment: spec.environment };
  let layer: NodeLayer | undefined;
  const resources = await recordResources(() => {
    layer = new NodeLayer(spec.clusterName, { ...spec, owner, placed: [] });
  }, machineOutputs);
  return { layer: layer!, resources };
}
