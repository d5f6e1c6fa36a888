import { parse } from "yaml";
import { ConfigError, formatProblem, parseStack, type Problem, type StackSpec } from "../../config";
import { exampleHostKey, factsOf } from "./hosts";

const HOST_KEY = exampleHostKey();
/** Facts of the host `a` of BASE, and of every other. */
export const STACK_FACTS = factsOf({ nodes: 2, coresPerNode: 8, threadsPerCore: 2, gibPerNode: 64 });

/** The smallest stack file with a carved control plane, a worker and a canary. */
const BASE = `
environment: development
ssh: { authorizedKeys: ["${HOST_KEY} ops"] }
hosts:
  a: { endpoint: { address: 192.0.2.1, hostKey: "${HOST_KEY}" }, location: { country: "NO" } }
image: { name: base.qcow2, file: base.qcow2, digest: "sha256:${"0".repeat(64)}" }
network: { bridge: br0, cidr: 10.0.10.0/24, gateway: 10.0.10.1 }
pools:
  control: { role: control-plane, count: 1, vcpus: 4, memory: 8GiB, disk: 40GiB, addresses: 10.0.10.11 }
  worker: { role: worker, count: 2, vcpus: 4, memory: 8GiB, disk: 40GiB, addresses: 10.0.10.21-10.0.10.29 }
kubernetes: { version: 1.34.2 }
mesh: { version: 1.28.3 }
namespaces: { shop: {} }
services: { web: { namespace: shop, versions: { v1: { image: "web:1" }, v2: { image: "web:2" } } } }
canaries: { web: { namespace: shop, weights: { v1: 90, v2: 10 } } }
`;

export type Tree = Record<string, unknown>;

/** BASE with values set at dotted paths; undefined removes. */
export function rawStack(changes: Tree = {}): Tree {
  const tree = parse(BASE) as Tree;
  for (const [at, value] of Object.entries(changes)) {
    const keys = at.split(".");
    const last = keys.pop()!;
    const parent = keys.reduce((node, key) => (node[key] ??= {}) as Tree, tree);
    if (value === undefined) Reflect.deleteProperty(parent, last);
    else parent[last] = value;
  }
  return tree;
}

export function specOf(changes: Tree = {}, warnings: Problem[] = [], facts = STACK_FACTS): StackSpec {
  const warn = (warning: Problem): void => void warnings.push(warning);
  return parseStack(rawStack(changes), { stack: "dev", readFacts: () => facts, warn });
}

/** What the parser has to say against it, one line each. */
export function problemsOf(changes: Tree, facts = STACK_FACTS): readonly string[] {
  try {
    specOf(changes, [], facts);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(formatProblem);
    throw error;
  }
  return [];
}
