import * as fs from "node:fs";
import * as path from "node:path";
import type { ControlPlane } from "./control-plane";
import { controlPlaneAddress as address, type LabNetwork } from "./network";
import { capture, type Processes } from "./processes";

/** Istio's CRDs from its base chart, then istiod as a process next to the API server. */
export async function startIstiod(lab: {
  readonly folder: string;
  readonly network: LabNetwork;
  readonly processes: Processes;
  readonly controlPlane: ControlPlane;
  /** pilot-discovery. */
  readonly binary: string;
  /** tools/images/echo. */
  readonly echo: string;
  /** Folder of the base chart. */
  readonly baseChart: string;
}): Promise<void> {
  const { controlPlane } = lab;
  await controlPlane.mustKubectl(["apply", "--server-side", "-f", path.join(lab.baseChart, "files/crd-all.gen.yaml")]);
  await controlPlane.mustKubectl(["wait", "--for=condition=established", "--timeout=30s", "crd", "--all"]);
  await controlPlane.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "istio-system" } });

  const meshConfig = path.join(lab.folder, "mesh.json");
  fs.writeFileSync(
    meshConfig,
    JSON.stringify({
      rootNamespace: "istio-system",
      trustDomain: "cluster.local",
      enableAutoMtls: true,
      defaultConfig: { discoveryAddress: `${address}:15012` },
    }),
  );
  lab.processes.start("istiod", {
    command: [
      ...lab.network.inside("cp"),
      lab.binary,
      "discovery",
      `--kubeconfig=${controlPlane.kubeconfig}`,
      `--meshConfig=${meshConfig}`,
      "--networksConfig=/dev/null",
      `--httpAddr=${address}:8080`,
      `--monitoringAddr=${address}:15014`,
      "--grpcAddr=",
      `--secureGRPCAddr=${address}:15012`,
      `--httpsAddr=${address}:15017`,
      "--domain=cluster.local",
    ],
    env: {
      HOME: lab.folder,
      POD_NAME: "istiod-0",
      POD_NAMESPACE: "istio-system",
      SERVICE_ACCOUNT: "istiod",
      REVISION: "default",
      CLUSTER_ID: "Kubernetes",
      PILOT_CERT_PROVIDER: "istiod",
      PILOT_ENABLE_ANALYSIS: "false",
      // Upstream Envoy has none of Istio's own filters; without these two it rejects its configuration.
      PILOT_ENABLE_METADATA_EXCHANGE: "false",
      PILOT_ENABLE_ALPN_FILTER: "false",
      // Without a kubelet there is nothing to inject into, and the API server can't reach a Service.
      INJECTION_WEBHOOK_CONFIG_NAME: "",
      VALIDATION_WEBHOOK_CONFIG_NAME: "",
    },
  });
  await lab.processes.ready("istiod", async () => {
    const url = `http://${address}:8080/ready`;
    return (await capture([...lab.network.inside("cp"), lab.echo, "get", "-timeout=1s", url])).code === 0;
  });
}
