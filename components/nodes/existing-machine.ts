import * as pulumi from "@pulumi/pulumi";
import type { EvidenceSpec, ExistingMachineSpec, ExistingPoolSpec, TimeoutsSpec } from "../../config/spec";
import { Evidence, Machine, type OwnerArgs } from "../../provider/sdk";
import type { ReadyNode } from "../ready-node";
import { evidenceSettings } from "./evidence";

export interface ExistingMachineArgs {
  readonly owner: OwnerArgs;
  readonly pool: ExistingPoolSpec;
  readonly machine: ExistingMachineSpec;
  readonly timeouts: TimeoutsSpec;
  readonly evidence: EvidenceSpec;
}

/** A rented instance or bare metal: checked from inside, never created or destroyed. */
export class ExistingMachine extends pulumi.ComponentResource {
  readonly node: ReadyNode;
  readonly evidence: Evidence;

  constructor(name: string, args: ExistingMachineArgs, opts?: pulumi.ComponentResourceOptions) {
    super("kvmesh:nodes:ExistingMachine", name, {}, opts);
    const { owner, pool, machine: spec, timeouts } = args;
    const machine = new Machine(
      name,
      {
        endpoint: spec.endpoint,
        owner,
        name,
        source: "existing",
        plan: spec.plan,
        vcpus: spec.vcpus,
        hypervisors: spec.hypervisors,
        maxStealPercent: spec.maxSteal,
        country: spec.location.country,
        bootTimeoutSeconds: timeouts.boot / 1000,
      },
      { parent: this },
    );
    this.evidence = new Evidence(
      name,
      {
        endpoint: spec.endpoint,
        owner,
        name,
        plan: spec.plan,
        vcpus: spec.vcpus,
        hypervisors: spec.hypervisors,
        maxStealPercent: spec.maxSteal,
        ...evidenceSettings(pool, args.evidence),
        // A reinstalled machine has other host keys.
        identity: spec.endpoint.hostKey,
      },
      { parent: this, dependsOn: [machine] },
    );
    this.node = {
      name,
      pool: pool.name,
      role: pool.role,
      labels: pool.labels,
      taints: pool.taints,
      endpoint: spec.endpoint,
      nodeAddress: spec.nodeAddress,
      // A reinstalled machine has other host keys; whoever changes the pinned key says so.
      identity: spec.endpoint.hostKey,
      ready: [machine, this.evidence],
    };
    this.registerOutputs({ address: spec.nodeAddress });
  }
}
