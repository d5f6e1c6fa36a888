import * as path from "node:path";

/** Everything that runs in the lab, as files of this machine. */
export interface LabBinaries {
  readonly etcd: string;
  readonly "kube-apiserver": string;
  readonly "kube-controller-manager": string;
  readonly kubectl: string;
  readonly "pilot-discovery": string;
  readonly "pilot-agent": string;
  readonly envoy: string;
  readonly echo: string;
  /** Folder that holds Istio's chart `base`. */
  readonly charts: string;
  /** Envoy's bootstrap template of the same Istio. */
  readonly bootstrap: string;
}

export function labBinaries(): Promise<LabBinaries> {
  const bin = (name: string): string => path.join("/tmp/b", name);
  const istio = "/root/go/pkg/mod/istio.io/istio@v0.0.0-20260114100434-4c1f845d839e";
  return Promise.resolve({
    etcd: bin("etcd"),
    "kube-apiserver": bin("kube-apiserver"),
    "kube-controller-manager": bin("kube-controller-manager"),
    kubectl: bin("kubectl"),
    "pilot-discovery": bin("pilot-discovery"),
    "pilot-agent": bin("pilot-agent"),
    envoy: "/tmp/f-envoy/x/envoy/_bin/envoy",
    echo: "/tmp/f-echo/echo",
    charts: path.join(istio, "manifests/charts"),
    bootstrap: path.join(istio, "tools/packaging/common/envoy_bootstrap.json"),
  });
}
