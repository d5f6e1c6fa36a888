/** Real clusters in the lab: machines with real containerd, kubelet, kubeadm and etcd, driven by `pulumi up` of this program. */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { parse } from "yaml";
import { clusterImages } from "../../tools/images";
import { ensureNodeRoot } from "../../tools/site/node-root";
import { emulatedSettings } from "../../tools/site/settings";
import { ssh } from "../../tools/site/ssh";
import { siteDir } from "../../tools/site/paths";
import { pulumiEnv, versions, type Report } from "../../tools/toolchain";
import { checkout, EngineProject, type EngineResult, type RunOptions } from "./engine";
import { LabMachines, realMachine } from "./machines";
import { Balancer } from "./machines/balancer";
import { Writer } from "./machines/writer";
import { mustRun } from "./mesh-lab/processes";

export interface Wanted {
  readonly controlPlanes: readonly string[];
  readonly workers?: readonly string[];
}

export class ClusterLab {
  private readonly kubeconfigFile: string;

  private constructor(
    readonly machines: LabMachines,
    private readonly balancer: Balancer,
    readonly project: EngineProject,
    private readonly searchPath: string,
  ) {
    this.kubeconfigFile = path.join(project.folder, "kubeconfig");
  }

  /** Nothing runs yet. `names`: of all machines that may ever be control planes. */
  static async open(names: readonly string[], report: Report): Promise<ClusterLab> {
    const env = await pulumiEnv(report, { tools: ["kubectl"] });
    const machines = await LabMachines.open(realMachine(await ensureNodeRoot(report, clusterImages)));
    try {
      const addresses = names.map((name) => machines.address(name));
      const balancer = await Balancer.start(machines.ownAddress, addresses);
      const project = new EngineProject({
        name: "kvmesh",
        program: `module.exports = require(${JSON.stringify(path.join(checkout, "dist/index.js"))});\n`,
        env,
      });
      return new ClusterLab(machines, balancer, project, env.PATH ?? "");
    } catch (error) {
      await machines.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.balancer.close();
    this.project.dispose();
    await this.machines.close();
  }

  /** Powers machines on and waits for their SSH servers. */
  async start(...names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.machines.start(name)));
    await this.machines.ready(names, () => undefined);
  }

  async up(wanted: Wanted, options?: RunOptions): Promise<EngineResult> {
    this.project.setConfig(await this.config(wanted));
    const result = await this.project.up(options);
    if (result.code === 0) {
      const { kubeconfig } = (await this.project.outputs()) as { kubeconfig: string };
      fs.writeFileSync(this.kubeconfigFile, kubeconfig, { mode: 0o600 });
    }
    return result;
  }

  /** kubectl on this computer, with the stack's kubeconfig, through the endpoint. */
  kubectl(...args: readonly string[]): Promise<string> {
    const files = this.searchPath.split(":").map((folder) => path.join(folder, "kubectl"));
    const kubectl = files.find((file) => fs.existsSync(file))!;
    return mustRun([kubectl, `--kubeconfig=${this.kubeconfigFile}`, "--request-timeout=20s", ...args]);
  }

  /** Names of the nodes that are Ready and take pods, sorted. */
  async readyNodes(): Promise<readonly string[]> {
    const condition = '{.status.conditions[?(@.type=="Ready")].status}';
    const line = `{range .items[*]}{.metadata.name} ${condition} {.spec.unschedulable}{"\\n"}{end}`;
    const text = await this.kubectl("get", "nodes", "-o", `jsonpath=${line}`);
    return text
      .split("\n")
      .filter((one) => / True $/.test(one))
      .map((one) => one.split(" ")[0]!)
      .sort();
  }

  /** A command on a machine, which must succeed. */
  async inside(name: string, command: string, timeoutMs?: number): Promise<string> {
    const { code, stdout, stderr } = await ssh(siteDir(), name, command, timeoutMs);
    if (code !== 0) throw new Error(`${name}: ${command}: exit ${code}: ${stderr}${stdout}`);
    return stdout;
  }

  /** Names of etcd's voters as a machine's member says, sorted; a learner has " learner" behind its name. */
  async members(via: string): Promise<readonly string[]> {
    const pki = "/etc/kubernetes/pki/etcd";
    const text = await this.inside(
      via,
      `printf '{}' | kubectl --kubeconfig=/dev/null --server=https://127.0.0.1:2379 --certificate-authority=${pki}/ca.crt --client-certificate=${pki}/healthcheck-client.crt --client-key=${pki}/healthcheck-client.key create --raw /v3/cluster/member/list -f -`,
    );
    const { members } = JSON.parse(text) as { members: { name?: string; isLearner?: boolean }[] };
    return members.map((one) => `${one.name ?? "(no name)"}${one.isLearner === true ? " learner" : ""}`).sort();
  }

  /** Writes through the endpoint from now on, until it is stopped. */
  writer(): Promise<Writer> {
    const { users } = parse(fs.readFileSync(this.kubeconfigFile, "utf8")) as {
      users: { user: { "client-certificate-data": string; "client-key-data": string } }[];
    };
    const user = users[0]!.user;
    return Writer.start({
      ...{ host: this.balancer.address, port: this.balancer.port },
      ...{ cert: user["client-certificate-data"], key: user["client-key-data"] },
    });
  }

  /** The stack file's keys, as any user with existing machines has them. */
  private async config({ controlPlanes, workers = [] }: Wanted): Promise<Readonly<Record<string, unknown>>> {
    const settings = emulatedSettings();
    const pool = async (role: string, names: readonly string[]): Promise<object> => {
      const machines = names.map(async (name) => {
        const { address, port, user, hostKey } = await this.machines.endpoint(name);
        return [
          name,
          {
            ...{ endpoint: { address, port, user, hostKey }, location: { country: "NO" }, plan: "dedicated" },
            ...{ vcpus: os.cpus().length, maxSteal: 100, hypervisors: ["kvm", "none", "qemu", "container-other"] },
          },
        ] as const;
      });
      return { role, maxFsync: "1s", machines: Object.fromEntries(await Promise.all(machines)) };
    };
    const keys = {
      environment: "development",
      ssh: { identityFile: this.machines.identityFile },
      timeouts: { boot: "2m", kubeadm: "5m", rollout: "5m" },
      evidence: { window: "1s", fsync: { writers: [1], size: "1MiB", time: "2s" } },
      pools: {
        control: await pool("control-plane", controlPlanes),
        ...(workers.length > 0 ? { workers: await pool("worker", workers) } : {}),
      },
      kubernetes: {
        version: versions.kubernetes,
        endpoint: `${this.balancer.address}:${this.balancer.port}`,
        packages: { source: "preinstalled" },
        imagePullPolicy: "Never",
        scheduleOnControlPlanes: true,
        cni: { version: "0.28.4", backend: "host-gw" },
        ignorePreflightErrors: [...settings.ignorePreflightErrors],
        kubelet: settings.kubelet,
        kubeProxy: settings.kubeProxy,
      },
      mesh: { provider: "none" },
    };
    return Object.fromEntries(Object.entries(keys).map(([key, value]) => [`kvmesh:${key}`, value]));
  }
}
