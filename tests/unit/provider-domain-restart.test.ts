import * as fs from "node:fs";
import { expect } from "chai";
import { coreLeaseKind } from "../../provider/corelease/corelease";
import { domainKind } from "../../provider/domain/domain";
import { quorumWhileDown } from "../../provider/domain/restart-quorum";
import { requireMoreMemory } from "../../provider/domain/room";
import type { DomainInputs, DomainOutputs } from "../../provider/domain/schema";
import { SshTransport } from "../../provider/transport/ssh";
import type { Transport } from "../../provider/transport/transport";
import { testContext } from "../support/context";
import { exampleHostKey } from "../support/hosts";
import { LocalMachine } from "../support/local-machine";
import { SimulatedHost } from "../support/simulated-host";

const owner = { project: "p", stack: "s", cluster: "c", environment: "development" } as const;
const MIB = 1024 * 1024;

/** A cluster's API as files: one node a folder, the record of a restart, and what was asked, in order. */
const KUBECTL = `
state=/var/lib/kvmesh
while [ $# -gt 0 ]; do case $1 in --kubeconfig=*|--request-timeout=*|--server=*) shift ;; -n) shift 2 ;; *) break ;; esac; done
echo "$*" | sed 's/ -o .*//' >>$state/log
case "$1 $2" in
  "drain --help") echo --delete-emptydir-data ;;
  "get node")
    [ -e $state/$3 ] || exit 0
    case "$*" in
      *"-o name"*) echo node/$3 ;;
      *bootID*Ready*) b=$(cat $state/$3.boot); echo $((b + 1)) >$state/$3.boot; echo "$b $(cat $state/$3)" ;;
      *bootID*) cat $state/$3.boot ;;
      *unschedulable*) cat $state/$3.cordoned 2>/dev/null || true ;;
    esac ;;
  "get nodes") for n in w-0 cp-1; do [ -e $state/$n.plane ] && echo "$n $(cat $state/$n)"; done; exit 0 ;;
  "drain "*)
    [ ! -e $state/no-drain ] || { echo "error when evicting pods/\\"x\\": would violate the pod's disruption budget"; exit 1; }
    echo true >$state/$2.cordoned ;;
  "uncordon "*) rm -f $state/$2.cordoned ;;
  "create configmap")
    [ ! -e $state/record ] || exit 1
    for a; do case $a in --from-literal=*) printf '%s ' "\${a#*=*=}" ;; esac; done >$state/record ;;
  "get configmap")
    [ -e $state/record ] || exit 0
    case "$*" in *data.by*) cat $state/record ;; *) cut -d' ' -f1 $state/record ;; esac ;;
  "delete configmap") rm -f $state/record ;;
esac
`;

describe("a restart for a change", () => {
  let host: SimulatedHost;
  let ssh: SshTransport;
  let plane: LocalMachine;
  let transport: Transport;
  const machines = new Map<string, { inputs: DomainInputs; state: DomainInputs & DomainOutputs; id: string }>();
  const controlPlane = { address: "192.0.2.9", port: 22, user: "root", hostKey: exampleHostKey() };
  const asked = (): string[] => (plane.read("var/lib/kvmesh/log") ?? "").split("\n").filter(Boolean);
  const memory = async (name: string): Promise<string> =>
    (await host.shell(`virsh dumpxml ${name}`)).stdout.replace(/^.*<memory[^>]*>(\d+)<.*$/s, "$1");
  const set = (file: string, text: string): void => {
    plane.write(`var/lib/kvmesh/${file}`, text);
  };

  before(async () => {
    host = await SimulatedHost.start();
    ssh = new SshTransport({ identityFile: host.identityFile, connectTimeoutSeconds: 5, attempts: 1 });
  });
  beforeEach(async () => {
    plane = new LocalMachine();
    plane.command("kubectl", KUBECTL);
    plane.write("etc/kubernetes/admin.conf", "");
    const script: Transport["script"] = (at, text, options) =>
      (at.address === controlPlane.address ? plane : ssh).script(at, text, options);
    transport = Object.assign(Object.create(ssh) as Transport, { script });
    for (const [index, name] of ["w-0", "w-1"].entries()) {
      host.write(`/var/lib/kvmesh/${name}.raw`, "");
      const { inputs } = domainKind.check({
        ...{ host: host.endpoint, owner, name, type: "qemu", vcpus: 1, vcpuPins: [index + 2] },
        ...{ emulatorPin: [0], ioThreadPin: [0], memoryBytes: 128 * MIB, interfaces: [], storage: "/var/lib/kvmesh" },
        disks: [{ type: "file", path: `/var/lib/kvmesh/${name}.raw`, format: "raw", target: "vda" }],
        restart: { when: "needed", drain: { controlPlane, node: name } },
      });
      await coreLeaseKind.create(testContext(transport), {
        host: host.endpoint,
        owner,
        machine: name,
        cpus: [index + 2],
      });
      const { id, outputs } = await domainKind.create(testContext(transport, name), inputs);
      machines.set(name, { inputs, id, state: { ...inputs, ...outputs } });
      set(name, "True");
      set(`${name}.boot`, "1");
    }
  });
  afterEach(async () => {
    for (const { id, state } of machines.values()) await domainKind.delete(testContext(transport), id, state);
    plane.close();
  });
  after(async () => {
    ssh.close();
    await host.stop();
  });

  const grow = async (name: string): Promise<string[]> => {
    const { id, state, inputs } = machines.get(name)!;
    const ctx = testContext(transport, name);
    await domainKind.update(ctx, id, state, { ...inputs, memoryBytes: 256 * MIB });
    return ctx.warnings;
  };
  const failure = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => "it did not fail",
      (error: unknown) => (error as Error).message,
    );

  it("drains the node, starts the machine with its new definition, waits until it is back, and uncordons", async () => {
    expect(await grow("w-0")).to.deep.equal([]);
    expect(await memory("w-0")).to.equal(String(256 * 1024));
    const order = asked().filter((line) => /^(create|drain w|uncordon|delete)/.test(line));
    expect(order.map((line) => line.split(" ")[0])).to.deep.equal(["create", "drain", "uncordon", "delete"]);
    expect(plane.read("var/lib/kvmesh/w-0.cordoned")).to.equal(undefined);
    expect(plane.read("var/lib/kvmesh/record")).to.equal(undefined);
  });

  it("neither changes nor drains a machine that the host has not the memory to start again", async () => {
    const { id, state, inputs } = machines.get("w-0")!;
    const update = (wanted: Partial<DomainInputs>): Promise<unknown> =>
      domainKind.update(testContext(transport, "w-0"), id, state, { ...inputs, ...wanted });
    const TIB = 1024 * 1024 * MIB;
    expect(await failure(update({ memoryBytes: 4 * TIB + 128 * MIB }))).to.match(
      /restarting machine w-0: the machine needs 4194304 MiB more, and \d+ MiB are available on the host: .*; it runs on as it was/,
    );
    // Memory of another kind is wanted whole: what the machine has now is none of it.
    expect(await failure(update({ hugepageBytes: 2 * MIB, numaNode: 0 }))).to.match(
      /needs 64 hugepages of 2048 KiB, and 0 of 0 are free on the host's NUMA node 0: .*; it runs on as it was/,
    );
    expect(await memory("w-0")).to.equal(String(128 * 1024));
    expect(asked().filter((line) => /^(create|drain w)/.test(line))).to.deep.equal([]);
    expect((await host.shell("virsh domstate w-0")).stdout.trim()).to.equal("running");
  });

  it("leaves a node cordoned that somebody else had cordoned", async () => {
    set("w-0.cordoned", "true");
    await grow("w-0");
    expect(asked().filter((line) => line.startsWith("uncordon"))).to.deep.equal([]);
  });

  it("does not drain before there is a cluster, or a node", async () => {
    plane.write("etc/kubernetes/admin.conf", "");
    set("w-9", "True");
    const { id, state, inputs } = machines.get("w-0")!;
    const unknown = {
      ...inputs,
      memoryBytes: 256 * MIB,
      restart: { when: "needed", drain: { controlPlane, node: "x-0" } },
    } as const;
    await domainKind.update(testContext(transport, "w-0"), id, state, unknown);
    expect(await memory("w-0")).to.equal(String(256 * 1024));
    expect(asked().filter((line) => /^(create|drain w)/.test(line))).to.deep.equal([]);
  });

  it("stops at the first failure: who waits is left as it was, and the next run goes on where it was", async () => {
    set("no-drain", "");
    const said = new Map<string, string>();
    await Promise.all(["w-0", "w-1"].map(async (name) => said.set(name, await failure(grow(name)))));
    // Whichever reached its turn before the other.
    const [first, second] = said.get("w-0")!.includes("not restarted") ? ["w-1", "w-0"] : ["w-0", "w-1"];
    expect(said.get(first)).to.contain(`node ${first} could not be drained`);
    expect(said.get(second)).to.contain(`not restarted, because the restart of ${first} failed`);
    expect(await memory(first)).to.equal(String(128 * 1024));
    expect((await host.shell(`virsh dumpxml --inactive ${second}`)).stdout).to.contain(`>${128 * 1024}</memory>`);
    // Another run, of another machine: the cluster knows that the first is not done.
    expect(await failure(grow(second)))
      .to.contain(`because ${first} is being restarted by p/s`)
      .and.to.contain(`uncordon ${first}`);
    fs.rmSync(plane.path("var/lib/kvmesh/no-drain"));
    await grow(first);
    await grow(second);
    expect([await memory(first), await memory(second)]).to.deep.equal([String(256 * 1024), String(256 * 1024)]);
    expect(plane.read("var/lib/kvmesh/record")).to.equal(undefined);
  });

  it("brings a restart to its end that a killed run began, without another one", async () => {
    await grow("w-0");
    const pid = host.read("/run/libvirt/qemu/w-0.pid");
    set("record", "w-0 p/s 1 false ");
    set("w-0.cordoned", "true");
    await grow("w-0");
    expect(host.read("/run/libvirt/qemu/w-0.pid")).to.equal(pid);
    expect(plane.read("var/lib/kvmesh/w-0.cordoned")).to.equal(undefined);
    expect(plane.read("var/lib/kvmesh/record")).to.equal(undefined);
  });

  it("of a control plane is refused while another one is not Ready", async () => {
    set("w-0.plane", "");
    set("cp-1.plane", "");
    set("cp-1", "False");
    expect(await failure(grow("w-0"))).to.contain("the control plane cp-1 is not Ready");
    expect(await memory("w-0")).to.equal(String(128 * 1024));
    expect(plane.read("var/lib/kvmesh/record")).to.equal(undefined);
  });
});

describe("memory for a machine that starts again", () => {
  const running = { memoryBytes: 512 * MIB, numaNode: 0, hugepageBytes: 2 * MIB };
  const wanted = (machine: Parameters<typeof requireMoreMemory>[0], before: typeof running | object): string =>
    /needs (\d+(?: more)? hugepages)/.exec(requireMoreMemory(machine, { ...running, ...before }))?.[1] ?? "nothing";

  it("is only what it has not: also when it grows over all nodes, and where its pages were seen without a size", () => {
    const grown = { ...running, memoryBytes: 768 * MIB };
    expect(wanted(grown, {})).to.equal("128 more hugepages");
    expect(wanted({ ...grown, numaNode: undefined }, {})).to.equal("128 more hugepages");
    expect(wanted(grown, { numaNode: undefined, hugepageBytes: 0 })).to.equal("128 more hugepages");
    expect(wanted(grown, { numaNode: 1 })).to.equal("384 hugepages");
    expect(wanted(running, {})).to.equal("nothing");
  });
});

describe("etcd while a control plane is down", () => {
  const plane = (name: string, ready = true) => ({ name, ready });
  const member = (name: string, healthy = true) => ({ id: name, name, healthy, learner: false });
  const three = ["a", "b", "c"];

  it("keeps its majority of three", () => {
    expect(
      quorumWhileDown(
        "a",
        three.map((name) => plane(name)),
        three.map((name) => member(name)),
      ),
    ).to.equal(undefined);
  });

  it("is not asked about when there is only one: its API is away for a while in any case", () => {
    expect(quorumWhileDown("a", [plane("a")], [])).to.equal(undefined);
  });

  it("would lose it when another member is ill, when there are two, and when nobody knows", () => {
    const planes = three.map((name) => plane(name));
    expect(quorumWhileDown("a", planes, [member("a"), member("b", false), member("c")])).to.contain("2 are needed");
    expect(quorumWhileDown("a", planes.slice(1), [member("a"), member("b")])).to.contain("2 are needed");
    expect(quorumWhileDown("a", planes, [])).to.contain("does not say");
  });
});
