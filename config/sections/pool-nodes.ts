import { fail, type Draft, type Findings } from "../draft";
import { contains, ipv4, parseCidr } from "../ipv4";
import type { PoolSpec } from "./pools";

/** Names and addresses of the nodes of all pools: each is one node's. */
export function check(draft: Draft, findings: Findings): void {
  checkNames(draft, findings);
  checkAddresses(draft, findings);
}

interface NamedNode {
  readonly name: string;
  readonly path: readonly (string | number)[];
  readonly address?: string;
  readonly addressPath: readonly (string | number)[];
}

function nodesOf(pool: PoolSpec, clusterName: string): NamedNode[] {
  const at = ["pools", pool.name];
  if (pool.source === "machines") {
    return pool.machines.map((machine) => {
      const path = [...at, "machines", machine.name];
      return { name: machine.name, path, address: machine.nodeAddress, addressPath: [...path, "nodeAddress"] };
    });
  }
  return Array.from({ length: pool.count }, (_, i) => ({
    name: `${clusterName}-${pool.name}-${i}`,
    path: at,
    address: pool.addresses[i],
    addressPath: [...at, "addresses", i],
  }));
}

function checkNames(draft: Draft, findings: Findings): void {
  const owners = new Map<string, string>();
  for (const pool of draft.pools) {
    for (const node of nodesOf(pool, draft.clusterName)) {
      const owner = owners.get(node.name);
      if (owner !== undefined) {
        fail(findings, node.path, node.name, `a node of pool ${owner} has this name too: rename one of them`);
      }
      owners.set(node.name, pool.name);
      if (node.name.length > 63) {
        fail(
          findings,
          node.path,
          node.name,
          `a node's name has at most 63 characters and this one has ${node.name.length}: shorten the pool's or the cluster's`,
        );
        return;
      }
    }
  }
}

function checkAddresses(draft: Draft, findings: Findings): void {
  const owners = new Map<string, string>();
  if (draft.network?.gateway) owners.set(draft.network.gateway, "the gateway (network.gateway)");
  const cidr = draft.network && parseCidr(draft.network.cidr);
  for (const pool of draft.pools) {
    for (const node of nodesOf(pool, draft.clusterName)) {
      if (node.address === undefined) continue;
      const owner = owners.get(node.address);
      if (owner !== undefined) fail(findings, node.addressPath, node.address, `${owner} has this address too`);
      owners.set(node.address, node.name);
      if (pool.source !== "hosts" || !cidr) continue;
      if (!contains(cidr, node.address)) {
        fail(findings, node.addressPath, node.address, `is outside the machines' network ${cidr.text} (network.cidr)`);
      } else if (cidr.prefix < 31 && [cidr.first, cidr.last].includes(ipv4(node.address)!)) {
        fail(findings, node.addressPath, node.address, `is the network's own or broadcast address in ${cidr.text}`);
      }
    }
  }
}
