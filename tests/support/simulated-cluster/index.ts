/**
 * Machines that are folders of this computer, with the plugin's real scripts in a real shell, and a kubectl and kubeadm that act on one shared
 * file in place of an API server and etcd (tool.ts). The lab shows what the real ones do.
 */
import * as fs from "node:fs";
import { clusterConfig, initConfig, joinConfig } from "../../../components/cluster/kubeadm-config";
import { clusterKind } from "../../../provider/cluster/kind";
import type { ClusterInputs, ClusterOutputs } from "../../../provider/cluster/schema";
import { clusterNodeKind } from "../../../provider/clusternode/kind";
import type { ClusterNodeInputs } from "../../../provider/clusternode/schema";
import type { BreakGlassWord, Context } from "../../../provider/core/kind";
import type { Mark } from "../../../provider/node/mark";
import type { Endpoint, Transport } from "../../../provider/transport/transport";
import { kubeadmSettings } from "../cluster-spec";
import { exampleHostKey } from "../hosts";
import { LocalMachine, owner as localOwner, testContext } from "../local-machine";
import { CA_CERTIFICATE } from "./certificate";
import { runTool, type SharedState } from "./tool";
import { ToolServer, type Answer } from "../simulated-host/tool-server";
import { sleep } from "../../../provider/transport/sleep";

/** Of a join that takes long enough to be interrupted. */
const HANG_MS = 3000;
let clusters = 0;

export interface RunOptions {
  /** A destroy: nothing is declared in the run. */
  readonly onlyDeletes?: boolean;
  readonly breakGlass?: BreakGlassWord;
  readonly signal?: AbortSignal;
}

export class SimulatedCluster {
  readonly machines = new Map<string, LocalMachine>();
  private readonly roots = new Map<string, string>();
  /** Of a cluster of its own: what a run knows is kept by owner. */
  readonly owner = { ...localOwner, cluster: `c${++clusters}` };
  outputs: ClusterOutputs | undefined;

  readonly state: SharedState = {
    members: [],
    leader: "",
    nodes: {},
    breakGlass: {},
    tokens: [],
    tokensMade: 0,
    up: [],
    blocked: [],
    faults: {},
    log: [],
    ca: CA_CERTIFICATE,
  };
  private readonly tools = new ToolServer({
    kubectl: (args) => this.call("kubectl", args),
    kubeadm: (args) => this.call("kubeadm", args),
  });

  private constructor(
    private planes: readonly string[],
    private readonly workers: readonly string[],
  ) {}

  /** Machines with nothing on them. */
  static async start(planes: readonly string[], workers: readonly string[] = []): Promise<SimulatedCluster> {
    const cluster = new SimulatedCluster(planes, workers);
    await cluster.tools.listen();
    for (const name of [...planes, ...workers]) cluster.addMachine(name);
    return cluster;
  }

  /** Founded, and everything that is declared joined. */
  static async whole(planes: readonly string[], workers: readonly string[] = []): Promise<SimulatedCluster> {
    const cluster = await SimulatedCluster.start(planes, workers);
    await cluster.found();
    for (const name of [...planes, ...workers]) await cluster.join(name);
    return cluster;
  }

  /** A machine with nothing on it; of a name that was there before: another machine. */
  addMachine(name: string): LocalMachine {
    this.machines.get(name)?.close();
    const machine = new LocalMachine();
    for (const [tool, text] of Object.entries(this.commandsOf(name)))
      fs.writeFileSync(machine.path(`bin/${tool}`), text, { mode: 0o755 });
    machine.command("systemctl", "true");
    machine.command("ip", "true");
    this.machines.set(name, machine);
    return machine;
  }

  /** kubectl and kubeadm of a machine that is something else than a folder of this, by their names. */
  commandsOf(name: string): Readonly<Record<string, string>> {
    return Object.fromEntries(
      ["kubectl", "kubeadm"].map((tool) => [tool, this.tools.stub(tool, { first: name, input: true })]),
    );
  }

  /** Where the / of such a machine is. */
  placeAt(name: string, root: string): void {
    this.roots.set(name, root);
  }

  machine(name: string): LocalMachine {
    const machine = this.machines.get(name);
    if (machine === undefined) throw new Error(`no machine ${name}`);
    return machine;
  }

  change(act: (state: SharedState) => void): void {
    act(this.state);
  }

  /** Its power is gone: nothing answers there, and its etcd is silent. */
  kill(name: string): void {
    this.machine(name).reachable = false;
    this.change((state) => {
      state.up = state.up.filter((one) => one !== name);
      if (state.nodes[name]) state.nodes[name].ready = false;
      const leader = state.members.find(({ id }) => id === state.leader);
      if (leader?.name === name) state.leader = state.members.find((one) => state.up.includes(one.name))?.id ?? "";
    });
  }

  mark(name: string): Mark | undefined {
    const text = this.machine(name).read("etc/kubernetes/kvmesh.json");
    return text === undefined ? undefined : (JSON.parse(text) as Mark);
  }

  declare(planes: readonly string[]): void {
    this.planes = planes;
  }

  context(options: RunOptions = {}): ReturnType<typeof testContext> {
    const stopped = aborted(options.signal);
    stopped.catch(() => undefined);
    const transport: Transport = {
      script: (at, script, run) => {
        run?.signal?.throwIfAborted();
        return Promise.race([
          this.at(at).script(at, script, run),
          ...(run?.signal === options.signal ? [stopped] : []),
        ]);
      },
      writeFile: (at, name, content, mode) => this.at(at).writeFile(at, name, content, mode),
      upload: () => Promise.reject(new Error("nothing is uploaded")),
      waitUntilReachable: () => Promise.resolve(),
      close: () => undefined,
    };
    const context: Context & { progressed: string[]; warned: string[] } = {
      ...testContext(transport),
      ...options,
      onlyDeletes: options.onlyDeletes ?? false,
    };
    return context;
  }

  clusterInputs(): ClusterInputs {
    const settings = kubeadmSettings({ endpoint: { host: "10.0.0.5", port: 6443 } });
    const checked = clusterKind.check({
      owner: this.owner,
      apiEndpoint: "10.0.0.5:6443",
      kubernetesVersion: "1.34.2",
      config: clusterConfig(settings),
      controlPlanes: this.planes.map((name) => ({
        name,
        endpoint: this.endpoint(name),
        config: initConfig(settings, { name, role: "control-plane", address: this.address(name) }),
      })),
      timeoutSeconds: 20,
    });
    if (checked.failures.length > 0) throw new Error(JSON.stringify(checked.failures));
    return checked.inputs;
  }

  /** As it is in the state of a stack. */
  clusterState(): ClusterInputs & ClusterOutputs {
    if (this.outputs === undefined) throw new Error("not founded");
    return { ...this.clusterInputs(), ...this.outputs };
  }

  nodeInputs(name: string): ClusterNodeInputs {
    const settings = kubeadmSettings({ endpoint: { host: "10.0.0.5", port: 6443 } });
    const role = this.workers.includes(name) ? "worker" : "control-plane";
    const checked = clusterNodeKind.check({
      endpoint: this.endpoint(name),
      owner: this.owner,
      name,
      role,
      kubernetesVersion: "1.34.2",
      clusterId: this.outputs?.clusterId,
      caCertHash: this.outputs?.caCertHash,
      apiEndpoint: "10.0.0.5:6443",
      controlPlanes: this.planes.map((one) => ({ name: one, endpoint: this.endpoint(one) })),
      config: joinConfig(settings, { name, role, address: this.address(name) }),
      timeoutSeconds: 20,
    });
    if (checked.failures.length > 0) throw new Error(JSON.stringify(checked.failures));
    return checked.inputs;
  }

  async found(): Promise<ClusterOutputs> {
    const { outputs } = await clusterKind.create(this.context(), this.clusterInputs());
    this.outputs = outputs;
    return outputs;
  }

  async join(name: string, options: RunOptions = {}): Promise<ReturnType<typeof testContext>> {
    const ctx = this.context(options);
    await clusterNodeKind.create(ctx, this.nodeInputs(name));
    return ctx;
  }

  async leave(name: string, options: RunOptions = {}): Promise<ReturnType<typeof testContext>> {
    const ctx = this.context(options);
    await clusterNodeKind.delete(ctx, name, this.nodeInputs(name));
    return ctx;
  }

  members(): string[] {
    return this.state.members.map(({ name, peer }) => name || peer).sort();
  }

  close(): void {
    for (const machine of this.machines.values()) machine.close();
    this.tools.close();
  }

  private endpoint(name: string): Endpoint {
    return { address: name, port: 22, user: "root", hostKey: exampleHostKey() };
  }

  /** "cp-2": 10.0.1.12 */
  private address(name: string): string {
    return `10.0.1.${10 + Number(/\d+$/.exec(name)?.[0] ?? 0)}`;
  }

  private async call(tool: "kubectl" | "kubeadm", [node = "", ...args]: readonly string[]): Promise<Answer> {
    const reads = args.at(-2) === "-";
    if (this.state.faults[`${node} ${args[0] ?? ""}`] === "hang") await sleep(HANG_MS);
    return runTool({
      tool,
      state: this.state,
      node,
      root: this.roots.get(node) ?? this.machine(node).root,
      args: reads ? args.slice(0, -1) : args,
      stdin: reads ? (args.at(-1) ?? "") : "",
    });
  }

  private at({ address }: Endpoint): LocalMachine {
    return this.machine(address);
  }
}

/** As a connection that is closed: what runs at its other end goes on. */
function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}
