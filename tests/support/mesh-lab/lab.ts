import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { guardFolder } from "../guard";
import type { LabBinaries } from "./binaries";
import { ControlPlane } from "./control-plane";
import { startIstiod } from "./istiod";
import { LabNetwork } from "./network";
import { capture, Processes, type Output } from "./processes";
import { createPod, sidecarReady, startSidecar, type WorkloadLab, type WorkloadSpec } from "./workload";

/** What `echo load` prints. */
export interface LoadResult {
  readonly n: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly errors: number;
  readonly error?: string;
  readonly p50: number;
  readonly p99: number;
  readonly seconds: number;
  readonly xfcc?: string;
}

/**
 * A real kube-apiserver, istiod and upstream Envoy as plain processes in network namespaces of their own. Needs root.
 *
 * Pods are objects whose status the lab writes, and processes that it starts: there is no kubelet, no injection
 * webhook and no kube-proxy (a sidecar sends to endpoints itself). Envoy is upstream's, without Istio's own telemetry.
 */
export class MeshLab {
  readonly controlPlane: ControlPlane;
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-mesh-lab-"));
  private readonly release = guardFolder(this.folder);
  private readonly network = new LabNetwork();
  private readonly processes: Processes;
  private readonly workloads: WorkloadLab;

  constructor(private readonly binaries: LabBinaries) {
    const logs = path.join(this.folder, "log");
    fs.mkdirSync(logs);
    // istio-proxy's user reads its own files below this folder.
    fs.chmodSync(this.folder, 0o711);
    this.processes = new Processes(logs);
    this.controlPlane = new ControlPlane(this.folder, this.network, this.processes, binaries);
    this.workloads = {
      folder: this.folder,
      network: this.network,
      processes: this.processes,
      controlPlane: this.controlPlane,
      pilotAgent: this.shared(binaries["pilot-agent"]),
      envoy: this.shared(binaries.envoy),
      echo: binaries.echo,
      bootstrap: this.shared(binaries.bootstrap),
    };
  }

  /** A file that istio-proxy's user may read: what lies in root's home is out of its reach. */
  private shared(file: string): string {
    const there = path.join(this.folder, path.basename(file));
    fs.copyFileSync(file, there, fs.constants.COPYFILE_FICLONE);
    fs.chmodSync(there, 0o755);
    return there;
  }

  async start(): Promise<void> {
    await this.network.start();
    await this.controlPlane.start();
    await startIstiod({
      folder: this.folder,
      network: this.network,
      processes: this.processes,
      controlPlane: this.controlPlane,
      binary: this.binaries["pilot-discovery"],
      echo: this.binaries.echo,
      baseChart: path.join(this.binaries.charts, "base"),
    });
    await this.controlPlane.apply({ apiVersion: "v1", kind: "Node", metadata: { name: "lab" } });
  }

  /** Pods in namespaces that are there already, ready when this returns. A server answers with its version. */
  async addPods(pods: readonly (WorkloadSpec & { readonly server: boolean })[]): Promise<void> {
    for (const pod of pods) {
      await createPod(this.workloads, pod);
      if (pod.server) {
        this.processes.start(`app-${pod.name}`, {
          command: [...this.network.inside(pod.name), this.binaries.echo, "serve", ":8080", pod.version],
          env: { POD_NAME: pod.name },
        });
      }
    }
    const meshed = pods.filter(({ sidecar }) => sidecar);
    for (const pod of meshed) await startSidecar(this.workloads, pod);
    for (const pod of meshed) await sidecarReady(this.workloads, pod);
  }

  /** As a kubelet's end of a pod: without one, a deleted pod would stay for ever. */
  async removePods(namespace: string): Promise<void> {
    await this.controlPlane.mustKubectl([
      "delete",
      "pods",
      "--all",
      `--namespace=${namespace}`,
      "--force",
      "--grace-period=0",
      "--wait=false",
    ]);
  }

  /** Requests from a pod, bounded in number and time. */
  async load(pod: string, url: string, options: { host: string; n: number }): Promise<LoadResult> {
    const { stdout, stderr } = await capture(
      [
        ...this.network.inside(pod),
        this.binaries.echo,
        "load",
        ...["-url", url, "-host", options.host, "-n", String(options.n), "-c", "8", "-timeout", "60s"],
      ],
      undefined,
      90_000,
    );
    if (!stdout.startsWith("{")) throw new Error(`echo load gave no result: ${stderr || stdout}`);
    return JSON.parse(stdout) as LoadResult;
  }

  /** One request from a pod. */
  get(pod: string, url: string, host: string): Promise<Output> {
    return capture([...this.network.inside(pod), this.binaries.echo, "get", "-host", host, url]);
  }

  /** Put before a command that is to reach the API server. */
  get inside(): readonly string[] {
    return this.network.inside("cp");
  }

  /** What istiod says that a proxy did not take; empty when every configuration was accepted. */
  rejections(): readonly string[] {
    return this.processes
      .log("istiod")
      .split("\n")
      .filter((line) => /ADS:.*ACK ERROR/.test(line));
  }

  /** Every process ends, every namespace goes, also after a failed start. */
  async stop(): Promise<void> {
    await this.processes.stop();
    await this.network.stop();
    fs.rmSync(this.folder, { recursive: true, force: true });
    this.release();
  }
}
