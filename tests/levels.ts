import { ensureTools, pulumiEnv } from "../tools/toolchain";

/** One level of the tests: what it runs, and what must be on the machine first. */
export interface Level {
  readonly name: string;
  readonly what: string;
  /** Compiled test files, relative to dist/. */
  readonly files?: readonly string[];
  /** Instead of mocha: arguments of node; exit code 0 counts as one test passed. */
  readonly command?: readonly string[];
  /** Its files share nothing and may run side by side, in processes of their own. */
  readonly parallel?: boolean;
  /** Of one test. */
  readonly timeoutMs: number;
  /** Gets what the level needs and gives the environment for it. */
  readonly environment?: () => Promise<NodeJS.ProcessEnv>;
}

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const engine = async (): Promise<NodeJS.ProcessEnv> => pulumiEnv(say);

const clusterTools = async (): Promise<NodeJS.ProcessEnv> => {
  await ensureTools(["kube-apiserver", "kube-controller-manager", "etcd", "pilot-discovery", "pilot-agent"], say);
  return pulumiEnv(say, { tools: ["kubectl", "kubeadm"] });
};

/** In the order in which they are begun. */
export const testLevels: readonly Level[] = [
  {
    name: "lint",
    what: "eslint, strict and type-aware",
    command: ["node_modules/eslint/bin/eslint.js", "."],
    timeoutMs: 0,
  },
  {
    name: "format",
    what: "prettier",
    command: ["node_modules/prettier/bin/prettier.cjs", "--check", "--log-level=warn", "."],
    timeoutMs: 0,
  },
  {
    name: "unit",
    what: "pure functions, property tests",
    files: ["tests/unit/**/*.test.js"],
    parallel: true,
    timeoutMs: 60_000,
    environment: engine,
  },
  {
    name: "component",
    what: "components on Pulumi's mocks",
    files: ["tests/component/**/*.test.js"],
    timeoutMs: 30_000,
  },
  {
    name: "policy",
    what: "policies through the unknown-checking proxy",
    files: ["tests/policy/**/*.test.js"],
    timeoutMs: 30_000,
  },
  {
    name: "engine",
    what: "the real CLI with our plugin, on simulated hosts; every command as a person runs it",
    files: ["tests/engine/**/*.test.js"],
    parallel: true,
    timeoutMs: 300_000,
    environment: engine,
  },
  {
    name: "host",
    what: "real sshd, libvirtd and QEMU in namespaces: the contract that the simulated host keeps, too",
    files: [
      "tests/lab/host-contract.test.js",
      "tests/lab/domain-schema.test.js",
      "tests/lab/site.test.js",
      "tests/lab/host-keys.test.js",
      "tests/lab/block-device.test.js",
      "tests/lab/host-preparation.test.js",
    ],
    // Its root is made of Debian packages when the cache has none.
    timeoutMs: 900_000,
  },
  {
    name: "cluster",
    what: "real kubeadm, etcd and kubelets on machines in namespaces: three control planes by `pulumi up`",
    files: ["tests/lab/machines.test.js", "tests/lab/cluster-ha.test.js"],
    timeoutMs: 900_000,
    environment: engine,
  },
  {
    name: "mesh",
    what: "real kube-apiserver, istiod and Envoy in network namespaces; real kubeadm on our configuration; a virtual IP's ARP",
    files: ["tests/lab/mesh*.test.js", "tests/lab/kubeadm-config.test.js", "tests/lab/virtual-ip.test.js"],
    timeoutMs: 300_000,
    environment: clusterTools,
  },
];

export const labLevels: readonly Level[] = [
  {
    name: "lab",
    what: "real sshd, libvirtd, QEMU, kubeadm, istiod and Envoy",
    files: ["tests/lab/**/*.test.js"],
    timeoutMs: 900_000,
    environment: clusterTools,
  },
];
