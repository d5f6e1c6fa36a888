/**
 * kubectl, kubeadm and etcd's HTTP API of one machine of a simulated cluster. They do what the plugin's scripts ask, and refuse everything
 * else aloud.
 */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Answer } from "../simulated-host/tool-server";

export interface SimulatedMember {
  id: string;
  name: string;
  peer: string;
  learner: boolean;
}

/** The cluster as its API and etcd have it. */
export interface SharedState {
  members: SimulatedMember[];
  leader: string;
  nodes: Record<string, { ready: boolean; plane: boolean }>;
  lease?: { holder: string; annotations: Record<string, string>; renewed: string; version: number };
  breakGlass: Record<string, string>;
  tokens: string[];
  tokensMade: number;
  /** Machines whose etcd and API server run. */
  up: string[];
  /** Nodes whose drain a budget blocks. */
  blocked: string[];
  /** "cp-2 join": what kubeadm does there instead of succeeding. */
  faults: Record<string, "fail" | "learner-stays" | "hang">;
  /** Everything that changed something, in order. */
  log: string[];
  ca: string;
}

class Failure extends Error {}

export interface Call {
  readonly tool: "kubectl" | "kubeadm";
  readonly state: SharedState;
  /** The machine that it is called on, and where its / is. */
  readonly node: string;
  readonly root: string;
  readonly args: readonly string[];
  readonly stdin: string;
}

export function runTool({ tool, state, node, root, args, stdin }: Call): Answer {
  const joined = args.join(" ");
  let stdout = "";
  let stderr = "";

  function say(text: string): void {
    stdout += `${text}\n`;
  }

  function fail(text: string): never {
    throw new Failure(text);
  }

  function change<T>(act: (shared: SharedState) => T): T {
    return act(state);
  }

  function at(name: string): string {
    return path.join(root, name);
  }

  function put(name: string, text: string): void {
    fs.mkdirSync(path.dirname(at(name)), { recursive: true });
    fs.writeFileSync(at(name), text);
  }

  function voters(): SimulatedMember[] {
    return state.members.filter(({ learner }) => !learner);
  }

  /** Its own etcd runs, and a majority of the voters does. */
  function hasQuorum(): boolean {
    const living = voters().filter(({ name }) => state.up.includes(name));
    return (
      state.up.includes(node) && state.members.some(({ name }) => name === node) && living.length > voters().length / 2
    );
  }

  function memberJson({ id, name, peer, learner }: SimulatedMember): object {
    const address = peer.replace(":2380", ":2379");
    return {
      ID: id,
      ...(name === "" ? {} : { name, clientURLs: [address] }),
      peerURLs: [peer],
      ...(learner ? { isLearner: true } : {}),
    };
  }

  function list(): string {
    return JSON.stringify({ header: { raft_term: "2" }, members: state.members.map((one) => memberJson(one)) });
  }

  function etcd(): void {
    const server = /--server=(\S+)/.exec(joined)?.[1] ?? "";
    if (joined.includes("get --raw /health")) {
      const owner = state.members.find(({ peer }) => peer.replace(":2380", ":2379") === server);
      if (owner === undefined || !state.up.includes(owner.name)) fail("connection refused");
      say('{"health":"true","reason":""}');
      return;
    }
    const body = stdin;
    if (!hasQuorum()) fail("etcdserver: request timed out");
    if (joined.includes("member/list")) say(list());
    else if (joined.includes("maintenance/status")) {
      const own = state.members.find(({ name }) => name === node);
      say(JSON.stringify({ header: { member_id: own?.id }, leader: state.leader }));
    } else if (joined.includes("maintenance/snapshot")) {
      const database = Buffer.from("database of etcd".repeat(64));
      const sum = createHash("sha256").update(database).digest();
      say(
        JSON.stringify({ result: { remaining_bytes: "0", blob: Buffer.concat([database, sum]).toString("base64") } }),
      );
    } else if (joined.includes("transfer-leadership")) {
      change((state) => {
        state.leader = /"targetID":"(\d+)"/.exec(body)?.[1] ?? "";
        state.log.push(`leader ${state.leader}`);
      });
      say("{}");
    } else if (joined.includes("member/remove")) {
      const id = /"ID":"(\d+)"/.exec(body)?.[1];
      change((state) => {
        const gone = state.members.find((one) => one.id === id);
        if (gone === undefined) fail("etcdserver: member not found");
        if (state.leader === id) fail("the leader was removed");
        state.members = state.members.filter((one) => one !== gone);
        state.log.push(`removed member ${gone.name || gone.peer}`);
      });
      say("{}");
    } else fail(`etcd: not simulated: ${joined}`);
  }

  function kubectl(): void {
    if (joined.includes("--kubeconfig=/dev/null")) {
      etcd();
      return;
    }
    if (/^drain --help/.test(joined)) {
      say("--delete-emptydir-data");
      return;
    }
    if (!hasQuorum()) fail("the connection to the server was refused");
    const words = args.filter((one) => !one.startsWith("-"));
    const text = words.join(" ");
    if (text.includes("get /readyz")) stdout += "ok";
    else if (text.includes("get /version")) say('{\n  "gitVersion": "v1.34.2"\n}');
    else if (text.includes("lease")) lease();
    else if (text.includes("configmap")) configmap(words);
    else if (text.includes("get secret")) {
      const id = words.find((word) => word.startsWith("bootstrap-token-"))?.replace("bootstrap-token-", "") ?? "";
      if (state.tokens.some((token) => token.startsWith(`${id}.`))) say(`secret/${id}`);
    } else if (text.includes("delete secret")) say("deleted");
    else if (text.includes("get nodes")) {
      for (const [name, one] of Object.entries(state.nodes))
        say(joined.includes('"Ready")].status') ? `${name} ${one.ready ? "True" : "Unknown"} said` : name);
    } else if (text.includes("get node")) {
      const name = words[words.indexOf("node") + 1] ?? "";
      const one = state.nodes[name];
      if (one === undefined) {
        if (!joined.includes("--ignore-not-found")) fail("not found");
      } else if (joined.includes("jsonpath")) stdout += `${name} ${one.ready ? "True" : "Unknown"}`;
      else say(`node/${name}`);
    } else if (text.includes("delete node")) {
      const name = words[words.indexOf("node") + 1] ?? "";
      change((all) => {
        if (all.nodes[name] === undefined) return;
        // eslint-disable-next-line @typescript-eslint/no-dynamic-delete
        delete all.nodes[name];
        all.log.push(`deleted node ${name}`);
      });
    } else if (words.includes("drain")) {
      const name = words[words.indexOf("drain") + 1] ?? "";
      if (state.blocked.includes(name)) {
        say(
          `error when evicting pods/"web-1" -n "shop": Cannot evict pod as it would violate the pod's disruption budget.`,
        );
        fail("");
      }
      change((all) => all.log.push(`drained ${name}`));
    } else if (text.includes("get pdb")) say("shop/web");
    else fail(`kubectl: not simulated: ${joined}`);
  }

  function lease(): void {
    change((state) => {
      const { lease: held } = state;
      if (joined.includes("get lease")) {
        if (held === undefined) return;
        const format = joined.includes("resourceVersion")
          ? [
              held.holder,
              held.annotations["kvmesh/node"],
              held.annotations["kvmesh/by"],
              held.renewed,
              held.version,
              held.annotations["kvmesh/until"],
            ].join("|")
          : held.holder;
        stdout += format;
      } else if (joined.includes("patch lease")) {
        if (held === undefined) fail("not found");
        held.renewed = String(Date.now());
        held.version++;
      } else if (joined.includes("delete lease")) {
        state.log.push(`unlocked ${held?.holder.split(" ").slice(0, 2).join(" ") ?? ""}`);
        delete state.lease;
      } else fail(`kubectl: not simulated: ${joined}`);
    });
  }

  function applyLease(verb: string): void {
    const body = JSON.parse(stdin) as {
      kind: string;
      metadata: { annotations: Record<string, string>; resourceVersion?: string };
      spec: { holderIdentity: string };
    };
    if (body.kind !== "Lease") fail(`kubectl: not simulated: ${verb} ${body.kind}`);
    if (!hasQuorum()) fail("the connection to the server was refused");
    change((state) => {
      if (verb === "create" && state.lease !== undefined) fail("AlreadyExists");
      if (verb === "replace" && String(state.lease?.version) !== body.metadata.resourceVersion) fail("Conflict");
      state.lease = {
        holder: body.spec.holderIdentity,
        annotations: body.metadata.annotations,
        renewed: String(Date.now()),
        version: (state.lease?.version ?? 0) + 1,
      };
      state.log.push(`locked ${body.spec.holderIdentity.split(" ").slice(0, 2).join(" ")}`);
    });
  }

  function configmap(words: readonly string[]): void {
    if (words.includes("kubeadm-config")) {
      say("apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration");
      return;
    }
    change((state) => {
      if (words.includes("create")) return;
      if (words.includes("get")) {
        stdout += state.breakGlass[/\.data\.([\w-]+)/.exec(joined)?.[1] ?? ""] ?? "";
        return;
      }
      const patch = args.find((one) => one.startsWith("{")) ?? "{}";
      Object.assign(state.breakGlass, (JSON.parse(patch) as { data: Record<string, string> }).data);
    });
  }

  function adminConf(): string {
    return JSON.stringify({
      apiVersion: "v1",
      clusters: [
        { name: "kubernetes", cluster: { "certificate-authority-data": state.ca, server: "https://10.0.0.5:6443" } },
      ],
      users: [
        { name: "kubernetes-admin", user: { "client-key-data": Buffer.from(`key of ${node}`).toString("base64") } },
      ],
      contexts: [{ name: "kubernetes-admin@kubernetes", context: { cluster: "kubernetes", user: "kubernetes-admin" } }],
      "current-context": "kubernetes-admin@kubernetes",
    });
  }

  function becomePlane(config: string): void {
    const address = /advertiseAddress: *"?([\d.]+)/.exec(config)?.[1] ?? "10.0.0.1";
    put("etc/kubernetes/admin.conf", adminConf());
    put("etc/kubernetes/manifests/etcd.yaml", "etcd");
    put("etc/kubernetes/manifests/kube-apiserver.yaml", "    - --secure-port=6443\n");
    put("var/lib/etcd/member/snap/db", "data");
    put("etc/kubernetes/kubelet.conf", "kubelet");
    const id = String(1000 + state.log.length * 7 + state.members.length);
    state.members.push({ id, name: node, peer: `https://${address}:2380`, learner: false });
    if (state.leader === "") state.leader = id;
    if (!state.up.includes(node)) state.up.push(node);
    state.nodes[node] = { ready: true, plane: true };
  }

  function kubeadm(): void {
    const verb = args[0] ?? "";
    const fault = state.faults[`${node} ${verb}`];
    if (joined.startsWith("token create")) {
      const token = change((state) => {
        const made = `${100_000 + state.tokensMade++}.0123456789abcdef`;
        state.tokens.push(made);
        return made;
      });
      say(token);
    } else if (joined.startsWith("token delete")) {
      change((state) => (state.tokens = state.tokens.filter((one) => !one.startsWith(`${args.at(-1)}.`))));
    } else if (joined.startsWith("init phase upload-certs")) say("0a".repeat(32));
    else if (verb === "init") {
      say("[preflight] Running pre-flight checks");
      if (fault === "fail") fail("[ERROR Simulated]: no good");
      change((state) => {
        state.log.push(`init ${node}`);
        becomePlane(fs.readFileSync(args[2] ?? "", "utf8"));
      });
    } else if (verb === "join") {
      const config = fs.readFileSync(args[2] ?? "", "utf8");
      say("[preflight] Running pre-flight checks");
      if (fault === "fail") fail("[ERROR Simulated]: no good");
      const token = /tlsBootstrapToken: *(\S+)/.exec(config)?.[1] ?? "";
      if (!state.tokens.includes(token)) fail("the token is not valid");
      change((state) => {
        state.log.push(`join ${node}`);
        if (!config.includes("controlPlane:")) {
          put("etc/kubernetes/kubelet.conf", "kubelet");
          state.nodes[node] = { ready: true, plane: false };
          return;
        }
        if (fault === "learner-stays") {
          const address = /advertiseAddress: *"?([\d.]+)/.exec(config)?.[1] ?? "";
          state.members.push({ id: "777", name: "", peer: `https://${address}:2380`, learner: true });
          put("etc/kubernetes/kubelet.conf", "kubelet");
          return;
        }
        becomePlane(config);
      });
      if (fault === "learner-stays") fail("[etcd] can't promote the member");
    } else if (verb === "reset") {
      change((state) => {
        state.log.push(`reset ${node}`);
        state.up = state.up.filter((one) => one !== node);
      });
      for (const name of ["admin.conf", "kubelet.conf", "manifests"])
        fs.rmSync(at(`etc/kubernetes/${name}`), { recursive: true, force: true });
    } else fail(`kubeadm: not simulated: ${joined}`);
  }

  try {
    if (tool === "kubeadm") kubeadm();
    else if (/(^| )(create|replace) -f -$/.test(joined) && !joined.includes("--raw"))
      applyLease(joined.includes("replace") ? "replace" : "create");
    else kubectl();
    return { code: 0, stdout, stderr };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    stderr += error.message;
    return { code: 1, stdout, stderr };
  }
}
