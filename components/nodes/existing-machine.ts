import * as pulumi from "@pulumi/pulumi";
import type { EvidenceSpec, ExistingMachineSpec, ExistingPoolSpec, TimeoutsSpec } from "../../config/spec";
import { Machine, type Evidence, type OwnerArgs } from "../../provider/sdk";
import type { ReadyNode } from "../ready-node";
import { measurements, measurementSettings } from "./evidence";
import { afterTurn } from "./pool-rollout";

export interface ExistingMachineArgs {
  readonly owner: OwnerArgs;
  readonly pool: ExistingPoolSpec;
  readonly machine: ExistingMachineSpec;
  readonly timeouts: TimeoutsSpec;
  readonly evidence: EvidenceSpec;
  /** Resolves when it is this machine's turn to be touched. */
  readonly turn: Promise<unknown>;
  readonly rollout?: ReadyNode["rollout"];
  /** What must not wait for measurements that are due. */
  readonly afterwards: Promise<unknown>;
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
      { parent: this, dependsOn: afterTurn(args.turn) },
    );
    const { preflight, evidence } = measurements(
      name,
      {
        endpoint: spec.endpoint,
        owner,
        name,
        plan: spec.plan,
        vcpus: spec.vcpus,
        hypervisors: spec.hypervisors,
        maxStealPercent: spec.maxSteal,
        ...measurementSettings(pool, args.evidence),
        // A reinstalled machine has other host keys.
        identity: spec.endpoint.hostKey,
      },
      { maxAge: args.evidence.maxAge, afterwards: args.afterwards },
      { parent: this, dependsOn: [machine] },
    );
    this.evidence = evidence;
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
      rollout: args.rollout,
      ready: [machine, preflight],
    };
    this.registerOutputs({ address: spec.nodeAddress });
  }
}
