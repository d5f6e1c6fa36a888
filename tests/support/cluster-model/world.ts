import * as fs from "node:fs";
import * as https from "node:https";
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { Balancer } from "../machines/balancer";
import { LabMachines, type Starter } from "../machines";
import { InsideTransport } from "../machines/inside";
import { SmallEngine, type Outcome } from "../small-engine";
import { declareCluster, freshKinds, type DeclaredNode } from "./declaration";

export interface EtcdMember {
  readonly id: string;
  readonly name: string;
  readonly learner: boolean;
  readonly peer: string;
}

export interface EtcdView {
  /** Another one would be another founding. */
  readonly clusterId: string;
  readonly members: readonly EtcdMember[];
}

const PKI = "/etc/kubernetes/pki";
/** Of kubeadm and of every wait of ours; simulated nodes need a second for what real ones need twenty for. */
const TIMEOUT_SECONDS = 20;

/** Machines with a cluster on them, driven by our handlers, and what can be seen of it from outside. */
export class World {
  readonly transport: InsideTransport;
  private engine: SmallEngine;
  private readonly generation = new Map<string, number>();
  private written = 0;

  private constructor(
    readonly lab: LabMachines,
    readonly names: readonly string[],
    private readonly balancer: Balancer,
    readonly trace: (line: string) => void,
  ) {
    this.transport = new InsideTransport(lab);
    this.engine = new SmallEngine(this.transport, freshKinds);
  }

  static async open(starter: Starter, names: readonly string[], trace: (line: string) => void): Promise<World> {
    const lab = await LabMachines.open(starter);
    const balancer = await Balancer.start(
      lab.ownAddress,
      names.map((name) => lab.address(name)),
    );
    return new World(lab, names, balancer, trace);
  }

  async close(): Promise<void> {
    this.balancer.close();
    await this.lab.close();
  }

  /** Blank machines and an empty state. */
  async reset(): Promise<void> {
    this.engine = new SmallEngine(this.transport, freshKinds);
    this.written = 0;
    await Promise.all(this.names.map((name) => this.scrap(name)));
  }

  /** The machine is gone for good; a blank one stands in its place. */
  async scrap(name: string): Promise<void> {
    await this.lab.scrap(name);
    this.generation.set(name, (this.generation.get(name) ?? 0) + 1);
    await this.lab.start(name);
  }

  async declared(names: readonly string[]): Promise<ReturnType<typeof declareCluster>> {
    const nodes = await Promise.all(
      names.map(async (name): Promise<DeclaredNode> => ({
        ...{ name, role: "control-plane", identity: String(this.generation.get(name)) },
        endpoint: await this.lab.endpoint(name),
      })),
    );
    return declareCluster(nodes, { host: this.balancer.address, port: this.balancer.port }, TIMEOUT_SECONDS);
  }

  async up(names: readonly string[]): Promise<Outcome> {
    const outcome = await this.engine.up(await this.declared(names));
    this.trace(`up ${names.join(" ")}: ${describe(outcome)}`);
    return outcome;
  }

  killRun(): void {
    this.engine.kill();
  }

  /** Runs a command in a machine; its output. */
  async inside(name: string, script: string): Promise<string> {
    const { stdout } = await this.transport.script(await this.lab.endpoint(name), script);
    return stdout;
  }

  /** The cluster's CA as it is on a machine's disk; undefined: there is none. */
  ca(name: string): string | undefined {
    const file = this.lab.disk(name, `${PKI}/ca.crt`);
    return fs.existsSync(file) ? createHash("sha256").update(fs.readFileSync(file)).digest("hex") : undefined;
  }

  hasData(name: string): boolean {
    return fs.existsSync(this.lab.disk(name, "/var/lib/etcd/member"));
  }

  /** What a majority says of the members; `serializable`: what any one member believes. */
  async etcd(options: { readonly serializable?: boolean } = {}): Promise<EtcdView | undefined> {
    for (const name of this.names) {
      const view = await this.etcdOf(name, options.serializable ?? false);
      if (view !== undefined) return view;
    }
    return undefined;
  }

  async etcdOf(name: string, serializable = false): Promise<EtcdView | undefined> {
    if (!this.lab.reachable(name)) return undefined;
    const answer = await this.askEtcd(name, "cluster/member/list", { linearizable: !serializable });
    if (answer === undefined) return undefined;
    const { header, members } = answer as {
      header: { cluster_id: string };
      members: { ID: string; name?: string; isLearner?: boolean; peerURLs: string[] }[];
    };
    return {
      clusterId: header.cluster_id,
      members: members.map((one) => ({
        ...{ id: one.ID, name: one.name ?? "", learner: one.isLearner === true, peer: one.peerURLs[0] ?? "" },
      })),
    };
  }

  /** Has a majority now, or within so many seconds. */
  async hasQuorum(seconds: number): Promise<boolean> {
    const end = Date.now() + seconds * 1000;
    while ((await this.etcd()) === undefined) {
      if (Date.now() > end) return false;
      await sleep(200);
    }
    return true;
  }

  /** One write through the endpoint; its name when it was acknowledged. */
  async write(): Promise<string | undefined> {
    const name = `write-${this.written++}`;
    const body = { metadata: { name }, data: {} };
    const status = await this.api("POST", "/api/v1/namespaces/default/configmaps", body);
    return status?.code === 201 ? name : undefined;
  }

  /** Names of all writes that are there. */
  async writes(): Promise<readonly string[] | undefined> {
    const answer = await this.api("GET", "/api/v1/namespaces/default/configmaps");
    if (answer?.code !== 200) return undefined;
    const { items } = JSON.parse(answer.text) as { items: { metadata: { name: string } }[] };
    return items.map((item) => item.metadata.name);
  }

  private async api(
    method: string,
    path: string,
    body?: object,
  ): Promise<{ readonly code: number; readonly text: string } | undefined> {
    const conf = this.names
      .map((name) => this.lab.disk(name, "/etc/kubernetes/admin.conf"))
      .find((file) => fs.existsSync(file));
    if (conf === undefined) return undefined;
    const { users } = parse(fs.readFileSync(conf, "utf8")) as {
      users: { user: { "client-certificate-data": string; "client-key-data": string } }[];
    };
    const pem = (text: string): Buffer => Buffer.from(text, "base64");
    return ask(
      {
        ...{ host: this.balancer.address, port: this.balancer.port, method, path },
        ...{ cert: pem(users[0]!.user["client-certificate-data"]), key: pem(users[0]!.user["client-key-data"]) },
      },
      body,
    );
  }

  private async askEtcd(name: string, path: string, body: object): Promise<unknown> {
    const base = this.lab.disk(name, `${PKI}/etcd/healthcheck-client`);
    if (!fs.existsSync(`${base}.key`)) return undefined;
    const [cert, key] = [fs.readFileSync(`${base}.crt`), fs.readFileSync(`${base}.key`)];
    const options = { host: this.lab.address(name), port: 2379, method: "POST", path: `/v3/${path}`, cert, key };
    const answer = await ask(options, body);
    return answer?.code === 200 ? (JSON.parse(answer.text) as unknown) : undefined;
  }
}

export function describe({ operations, errors }: Outcome): string {
  const done = [...operations].map(([name, operation]) => `${name} ${operation}`).join(", ");
  const failed = [...errors].map(([name, error]) => `${name}: ${error.message.split("\n")[0]!.slice(0, 200)}`);
  return failed.length === 0 ? done : `${done}; FAILED ${failed.join("; ")}`;
}

function ask(
  options: https.RequestOptions,
  body?: object,
): Promise<{ readonly code: number; readonly text: string } | undefined> {
  return new Promise((resolve) => {
    const more = { rejectUnauthorized: false, timeout: 4000, agent: false as const };
    const request = https.request({ ...options, ...more }, (response) => {
      let text = "";
      response.on("data", (data: Buffer) => (text += data.toString()));
      response.on("end", () => {
        resolve({ code: response.statusCode ?? 0, text });
      });
      response.on("error", () => {
        resolve(undefined);
      });
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => {
      resolve(undefined);
    });
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
