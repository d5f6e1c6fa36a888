import { expect } from "chai";
import { dropAddress, placeStaticPods, refuseTakenAddress, staticPods } from "../../provider/node/static-pods";
import { LocalMachine, testContext } from "../support/local-machine";

describe("static pods of a control plane", () => {
  let machine: LocalMachine;
  const file = (name: string): string | undefined => machine.read(`etc/kubernetes/manifests/${name}.yaml`);
  const place = async (pods: readonly object[], founding = false): Promise<string[]> => {
    const ctx = testContext(machine);
    await placeStaticPods(ctx, { name: "cp-0", endpoint: machine.endpoint }, staticPods.parse(pods), founding);
    return ctx.progressed;
  };
  const vip = { name: "vip", manifest: 'kind: Pod # it\'s "admin" $(x)\n', founding: "kind: Pod # super\n" };

  beforeEach(() => (machine = new LocalMachine()));
  afterEach(() => machine.close());

  it("are placed as they are, the founding one only while founding, and not touched when nothing changed", async () => {
    expect(await place([vip], true)).to.deep.equal(["node cp-0: placed the static pod vip"]);
    expect(file("vip")).to.equal(`# made by kvmesh\n${vip.founding}`);
    expect(await place([vip])).to.deep.equal(["node cp-0: placed the static pod vip"]);
    expect(file("vip")).to.equal(`# made by kvmesh\n${vip.manifest}`);
    expect(await place([vip])).to.deep.equal([]);
    // What the kubelet reads must never be half written.
    expect(machine.read("etc/kubernetes/kvmesh-vip.yaml.new")).to.equal(undefined);
  });

  it("go when they are no longer declared; kubeadm's and others' stay", async () => {
    machine.write("etc/kubernetes/manifests/etcd.yaml", "kind: Pod\n");
    machine.write("etc/kubernetes/manifests/theirs.yaml", "# theirs\nkind: Pod\n");
    await place([vip, { name: "second", manifest: "kind: Pod\n" }]);
    await place([{ name: "second", manifest: "kind: Pod\n" }]);
    expect(["vip", "second", "etcd", "theirs"].map((name) => file(name) !== undefined)).to.deep.equal([
      false,
      true,
      true,
      true,
    ]);
    await place([]);
    expect(file("second")).to.equal(undefined);
  });

  it("can't be kubeadm's own", () => {
    for (const name of ["etcd", "kube-apiserver", "../x", ""]) {
      expect(staticPods.safeParse([{ name, manifest: "x" }]).success, name).to.equal(false);
    }
  });
});

describe("a virtual IP, before a cluster is founded on it", () => {
  let machine: LocalMachine;
  const vip = { address: "10.0.0.9", port: 6443 };
  /** `ip` of a node in 10.0.0.0/24; whoever is asked for becomes a neighbour when kubectl asks for it. */
  const node = (own: string, neighbour: string, route = "10.0.0.9 dev eth0 src 10.0.0.10"): void => {
    machine.command("kubectl", `echo "$@" >>${machine.root}/asked; exit 1`);
    machine.command(
      "ip",
      `case "$*" in
"-4 -o addr show to 10.0.0.9"*) printf '%s\\n' '${own}' ;;
"-4 route get 10.0.0.9") echo '${route}' ;;
"-4 neigh show to 10.0.0.9") [ ! -e ${machine.root}/asked ] || echo '${neighbour}' ;;
"addr del"*) echo "$@" >>${machine.root}/deleted ;;
esac`,
    );
  };
  const verdict = async (): Promise<string> => {
    try {
      await refuseTakenAddress(testContext(machine), { name: "cp-0", endpoint: machine.endpoint }, vip);
      return "free";
    } catch (error) {
      return (error as Error).message;
    }
  };

  beforeEach(() => (machine = new LocalMachine()));
  afterEach(() => machine.close());

  it("is free when nobody answers ARP for it", async () => {
    node("", "10.0.0.9 dev eth0 FAILED");
    expect(await verdict()).to.equal("free");
    expect(machine.read("asked")).to.include("--server=https://10.0.0.9:6443");
  });

  it("is refused when somebody does, with who", async () => {
    node("", "10.0.0.9 dev eth0 lladdr 52:54:00:00:00:77 REACHABLE");
    expect(await verdict()).to.equal(
      "kubernetes.endpoint.vip.address: 10.0.0.9 is answered by 52:54:00:00:00:77 already (seen from cp-0); give a free address, or find out whose that is",
    );
  });

  it("is refused when the node has it itself, and when it is in no network of the node", async () => {
    node("2: eth0    inet 10.0.0.9/32 scope global eth0", "");
    expect(await verdict()).to.match(/is an address of cp-0 itself, on eth0 .*ip addr del 10\.0\.0\.9\/32 dev eth0/);
    node("", "", "10.0.0.9 via 10.0.0.1 dev eth0 src 10.0.0.10");
    expect(await verdict()).to.match(/is in no network that the node is part of .*announced by ARP/);
  });

  it("goes from a node that leaves, and nothing else of the node's does", async () => {
    node("2: eth0    inet 10.0.0.9/32 scope global eth0", "");
    await dropAddress(testContext(machine), { name: "cp-0", endpoint: machine.endpoint }, vip);
    expect(machine.read("deleted")).to.equal("addr del 10.0.0.9/32 dev eth0\n");
    node("2: eth0    inet 10.0.0.9/24 scope global eth0", "");
    machine.write("deleted", "");
    await dropAddress(testContext(machine), { name: "cp-0", endpoint: machine.endpoint }, vip);
    expect(machine.read("deleted")).to.equal("");
  });
});
