import * as pulumi from "@pulumi/pulumi";
import type { HostSpec, ImageSpec, NetworkSpec, PoolSpec, StackSpec } from "../../config/spec";
import { formatCpuSet } from "../../config/units";
import { Image, Network, Tenancy, type ControlPlaneArgs, type Evidence, type OwnerArgs } from "../../provider/sdk";
import type { ReadyNode } from "../ready-node";
import { CarvedMachine } from "./carved-machine";
import { summarizeEvidence, type EvidenceSummary } from "./evidence";
import { ExistingMachine } from "./existing-machine";
import { HostPreparation } from "./host-preparation";
import { machineRequests, nodeName } from "./machine-requests";
import { PoolRollout, type PoolRolloutArgs } from "./pool-rollout";
import { revisionOf, rolledOutFrom, type RolledOut } from "./rollout";
import { place, type Placed, type Placement } from "./placement";
import { checkThinPools } from "./thin-pools";

export type NodeLayerArgs = Pick<
  StackSpec,
  "ssh" | "timeouts" | "evidence" | "hosts" | "image" | "network" | "pools" | "kubernetes"
> & {
  readonly owner: OwnerArgs;
  /** What the state has already; those machines stay where they are. */
  readonly placed: readonly Placed[];
  /** How far the state's nodes are rolled out; default: there are none. */
  readonly rolledOut?: RolledOut;
  /** Resolves when what must not wait for a measurement that is due is done; default: at once. */
  readonly afterwards?: Promise<unknown>;
};

/** A node as the stack's outputs show it. */
export interface NodeSummary {
  readonly name: string;
  readonly pool: string;
  readonly role: string;
  readonly address: string;
  /** Country and site, "NO Oslo". */
  readonly location: string;
  /** Host that it is carved from; absent for existing machines. */
  readonly host?: string;
  /** Host CPUs that are its own, "2-5"; "shared" where it has none. */
  readonly cpus?: string;
}

/** Every node of the stack: machines carved from hosts by the core ledger, and machines that exist. */
export class NodeLayer extends pulumi.ComponentResource {
  /** In the order of pools and of nodes in each. */
  readonly nodes: readonly ReadyNode[];
  readonly summary: readonly NodeSummary[];
  /** By name of the node. */
  readonly evidence: Readonly<Record<string, pulumi.Output<EvidenceSummary>>>;

  constructor(name: string, args: NodeLayerArgs, opts?: pulumi.ComponentResourceOptions) {
    // Placed before anything is declared: a misfit leaves no half of a plan.
    const placed = place(args.hosts, machineRequests(args.pools, args.owner.cluster), args.placed);
    checkThinPools(args.hosts, args.pools, args.owner.cluster, placed);
    const placements = new Map(placed.map((entry) => [entry.name, entry]));
    super("kvmesh:nodes:NodeLayer", name, {}, opts);
    const prepared = new Map(args.hosts.flatMap((host) => this.preparationOf(host, args)));
    const used = new Set([...placements.values()].map((placement) => placement.host));
    const hosts = new Map(args.hosts.map((host) => [host.name, host]));
    const tenancies = new Map(
      [...used].map((host) => [host, this.tenancyOn(hosts.get(host)!, [...placements.values()], args.owner)]),
    );
    const groundOf = (host: string) => [tenancies.get(host), prepared.get(host)].filter((one) => one !== undefined);
    const images = new Map([...used].map((host) => [host, this.imageOn(hosts.get(host)!, args, groundOf(host))]));
    const networks = new Map([...used].map((host) => [host, this.networkOn(hosts.get(host)!, args, groundOf(host))]));

    const made = new Map<PoolSpec, { node: ReadyNode; summary: NodeSummary }[]>(args.pools.map((pool) => [pool, []]));
    const evidence: Record<string, pulumi.Output<EvidenceSummary>> = {};
    const { afterwards = Promise.resolve() } = args;
    const controlPlanes: ControlPlaneArgs[] = [];
    let known: (planes: readonly ControlPlaneArgs[]) => void = () => {};
    const waysIn = pulumi.output(new Promise<readonly ControlPlaneArgs[]>((resolve) => (known = resolve)));
    const rolloutOf = (pools: readonly PoolSpec[], after?: PoolRollout): PoolRollout =>
      new PoolRollout(
        {
          owner: args.owner,
          what: `pool ${pools.map(({ name }) => name).join(", ")}`,
          nodes: pools.flatMap((pool) => revisionsOf(pool, args, placements)),
          // Two control planes of three are no majority.
          maxUnavailable: after === undefined ? 1 : pools[0]!.maxUnavailable,
          controlPlanes: waysIn,
          rolledOut: args.rolledOut ?? rolledOutFrom({}),
          after,
        },
        this,
      );
    const planesRollout = rolloutOf(args.pools.filter(({ role }) => role === "control-plane"));
    for (const pool of controlPlanesFirst(args.pools)) {
      const add = (node: ReadyNode, proof: Evidence, place: Omit<NodeSummary, keyof ReturnType<typeof summarize>>) => {
        if (node.role === "control-plane") controlPlanes.push({ name: node.name, endpoint: node.endpoint });
        made.get(pool)!.push({ node, summary: { ...summarize(node), ...place } });
        evidence[node.name] = summarizeEvidence(proof);
      };
      const rollout = pool.role === "control-plane" ? planesRollout : rolloutOf([pool], planesRollout);
      const turnOf = (node: string): Promise<unknown> => rollout.turnOf(node);
      if (pool.source === "machines") {
        for (const machine of pool.machines) {
          const { node, evidence: proof } = new ExistingMachine(
            machine.name,
            {
              owner: args.owner,
              pool,
              machine,
              timeouts: args.timeouts,
              evidence: args.evidence,
              afterwards,
              turn: turnOf(machine.name),
              rollout,
            },
            { parent: this },
          );
          add(node, proof, { location: locationText(machine.location) });
        }
        continue;
      }
      for (let index = 0; index < pool.count; index++) {
        const node = nodeName(args.owner.cluster, pool, index);
        const placement = placements.get(node)!;
        const host = hosts.get(placement.host)!;
        const machine = new CarvedMachine(
          node,
          {
            owner: args.owner,
            pool,
            host,
            ground: groundOf(host.name),
            image: images.get(host.name)!,
            imageFormat: needed(args.image, "image").format,
            network: needed(args.network, "network"),
            nat: networks.get(host.name),
            placement,
            index,
            address: pool.addresses[index]!,
            authorizedKeys: args.ssh.authorizedKeys,
            timeouts: args.timeouts,
            evidence: args.evidence,
            afterwards,
            turn: turnOf(node),
            rollout,
            firstControlPlane: controlPlanes[0]?.endpoint,
          },
          { parent: this },
        );
        add(machine.node, machine.evidence, { location: locationText(host.location), ...placeText(placement) });
      }
    }
    known(controlPlanes);
    const inOrder = [...made.values()].flat();
    this.nodes = inOrder.map(({ node }) => node);
    this.summary = inOrder.map(({ summary }) => summary);
    this.evidence = evidence;
    this.registerOutputs({ nodes: this.summary });
  }

  private tenancyOn(host: HostSpec, placements: readonly Placement[], owner: OwnerArgs): Tenancy {
    const machines = placements.filter((placement) => placement.host === host.name).map((placement) => placement.name);
    return new Tenancy(host.name, { host: host.endpoint, owner, storage: host.storage, machines }, { parent: this });
  }

  private preparationOf(host: HostSpec, { owner, ssh, timeouts }: NodeLayerArgs): [string, pulumi.Resource][] {
    if (host.prepare === undefined) return [];
    const { command } = new HostPreparation(host.name, { owner, host, ssh, timeouts }, { parent: this });
    return [[host.name, command]];
  }

  /** Only a NAT network is ours to make. */
  private networkOn(host: HostSpec, args: NodeLayerArgs, ground: pulumi.Resource[]): Network | undefined {
    const { attach, cidr, gateway, nameservers } = needed(args.network, "network");
    if (attach.type !== "nat" || gateway === undefined) return undefined;
    return new Network(
      host.name,
      {
        host: host.endpoint,
        owner: args.owner,
        name: attach.network,
        bridge: attach.bridge,
        cidr,
        address: gateway,
        dns: nameservers.includes(gateway),
      },
      { parent: this, dependsOn: ground },
    );
  }

  private imageOn(host: HostSpec, args: NodeLayerArgs, ground: pulumi.Resource[]): Image {
    const image: ImageSpec = needed(args.image, "image");
    return new Image(
      host.name,
      {
        host: host.endpoint,
        owner: args.owner,
        name: image.name,
        storage: host.storage,
        url: image.url,
        file: image.file,
        digest: image.digest,
        format: image.format,
      },
      { parent: this, dependsOn: ground },
    );
  }
}

/** What each node of a pool is drained for when it changes. */
function revisionsOf(
  pool: PoolSpec,
  { owner, image, hosts, kubernetes: { endpoint } }: NodeLayerArgs,
  placements: ReadonlyMap<string, Placement>,
): PoolRolloutArgs["nodes"] {
  const kubelet = (address: string | undefined) => [pool.taints, address, `${endpoint.host}:${endpoint.port}`];
  if (pool.source === "machines") {
    return pool.machines.map(({ name, endpoint: { hostKey }, nodeAddress }) => ({
      name,
      revision: revisionOf({ machine: hostKey, kubelet: kubelet(nodeAddress) }),
    }));
  }
  return Array.from({ length: pool.count }, (_, index) => {
    const name = nodeName(owner.cluster, pool, index);
    const host = hosts.find((one) => one.name === placements.get(name)?.host);
    return {
      name,
      revision: revisionOf({
        image: [image?.digest, image?.format],
        machine: [host?.endpoint.hostKey, host?.accelerator, host?.storage, pool.storage, pool.diskDevices?.[index]],
        ...(pool.restart === "needed" ? { size: [pool.vcpus, pool.memory, pool.cpu, host?.hugepages] } : {}),
        kubelet: kubelet(pool.addresses[index]),
      }),
    };
  });
}

/** All others may be drained through the first one, so that it must be declared before them. */
function controlPlanesFirst(pools: readonly PoolSpec[]): readonly PoolSpec[] {
  return [...pools].sort((a, b) => Number(b.role === "control-plane") - Number(a.role === "control-plane"));
}

function summarize({ name, pool, role, nodeAddress }: ReadyNode): Omit<NodeSummary, "location"> {
  return { name, pool, role, address: nodeAddress };
}

function placeText({ host, cpus }: Placement): Pick<NodeSummary, "host" | "cpus"> {
  return { host, cpus: cpus.length === 0 ? "shared" : formatCpuSet(cpus) };
}

function locationText({ country, site }: { readonly country: string; readonly site?: string }): string {
  return site === undefined ? country : `${country} ${site}`;
}

/** The parser refuses a carved pool without image or network; this guards programs that make a spec themselves. */
function needed<T extends ImageSpec | NetworkSpec>(value: T | undefined, section: string): T {
  if (value === undefined) throw new Error(`${section}: missing, and a pool is carved from hosts`);
  return value;
}
