import { expect } from "chai";
import { judge } from "../../provider/noderuntime/inspect";
import { nodeRuntimeKind } from "../../provider/noderuntime/kind";
import { exampleHostKey } from "../support/hosts";
import { LocalMachine, owner, testContext } from "../support/local-machine";

const raw = {
  endpoint: { address: "192.0.2.1", hostKey: exampleHostKey() },
  owner,
  name: "n1",
  kubernetesVersion: "1.34.2",
  packages: { source: "preinstalled" },
};
const inputs = nodeRuntimeKind.check(raw).inputs;

const good = {
  kubelet: "Kubernetes v1.34.2",
  kubeadm: "v1.34.2",
  kubectl: "/usr/bin/kubectl",
  containerd: "containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6",
  socket: "yes",
  filesystems: "nodev\tproc\nnodev\toverlay\n\text4",
  "net.ipv4.ip_forward": "1",
  "net.bridge.bridge-nf-call-iptables": "1",
};
const answers = (changes: Partial<typeof good> = {}): Map<string, string> =>
  new Map(Object.entries({ ...good, ...changes }));

describe("node runtime", () => {
  it("takes a node that has everything, at the exact version", () => {
    expect(judge(inputs, answers())).to.deep.equal({
      kubelet: "1.34.2",
      kubeadm: "1.34.2",
      containerd: "1.7.24",
      faults: [],
    });
  });

  it("names everything that is missing at once, with what to do", () => {
    const { faults } = judge(
      inputs,
      answers({
        kubelet: "Kubernetes v1.33.0",
        kubeadm: "",
        socket: "",
        filesystems: "ext4",
        "net.ipv4.ip_forward": "0",
      }),
    );
    expect(faults).to.have.length(5);
    expect(faults[0]).to.match(
      /kubelet is 1.33.0, 1.34.2 is needed; put it into the image, or set kubernetes.packages/,
    );
    expect(faults[1]).to.match(/kubeadm is missing/);
    expect(faults[2]).to.match(/containerd does not answer/);
    expect(faults[3]).to.match(/no overlay file system/);
    expect(faults[4]).to.match(/sysctl net.ipv4.ip_forward is 0 and can't be set, 1 is needed/);
  });

  it("sets what the kernel needs, for the next boot too, under our mark, and takes only that away again", async () => {
    const machine = new LocalMachine();
    machine.command("modprobe", `echo "$1" >>${machine.root}/loaded`);
    machine.command(
      "sysctl",
      `case "$1" in -n) cat ${machine.root}/set-$2 2>/dev/null ;; *) echo "\${3#*=}" >${machine.root}/set-"\${3%%=*}" ;; esac`,
    );
    machine.command("kubelet", "echo Kubernetes v1.34.2");
    machine.command("kubeadm", "echo v1.34.2");
    machine.command("kubectl", "true");
    machine.command("containerd", "echo containerd x 1.7.24");
    machine.command("ctr", "true");
    const { id, outputs } = await nodeRuntimeKind.create(testContext(machine), inputs);
    expect([id, outputs.versions]).to.deep.equal([
      "n1",
      { kubelet: "1.34.2", kubeadm: "1.34.2", containerd: "1.7.24" },
    ]);
    expect(machine.read("loaded")).to.equal("overlay\nbr_netfilter\n");
    expect(machine.read("etc/sysctl.d/90-kvmesh.conf")).to.match(
      /^# made by kvmesh for cluster c1 .*\nnet.ipv4.ip_forward = 1\n/,
    );
    machine.write("etc/sysctl.d/99-theirs.conf", "x");
    await nodeRuntimeKind.delete(testContext(machine), id, { ...inputs, ...outputs });
    expect(machine.read("etc/sysctl.d/90-kvmesh.conf")).to.equal(undefined);
    expect(machine.read("etc/sysctl.d/99-theirs.conf")).to.equal("x");
    machine.close();
  });

  it("refuses a repository that is no URL, and one that hides a command", () => {
    const keyFingerprints = ["DE15B14486CD377B9E876E1A234654DA9A296436"];
    for (const repository of ["pkgs.example.net", "https://x.no/$(reboot)", "https://x.no/'; reboot"]) {
      const { failures } = nodeRuntimeKind.check({ ...raw, packages: { source: "apt", repository, keyFingerprints } });
      expect(
        failures.map((failure) => failure.property),
        repository,
      ).to.deep.equal(["packages.repository"]);
    }
    expect(
      nodeRuntimeKind.check({
        ...raw,
        packages: {
          source: "apt",
          repository: "https://pkgs.k8s.io/core:/stable:/v1.34/deb/",
          keyFingerprints,
        },
      }).failures,
    ).to.deep.equal([]);
  });

  it("is not taken for gone when the machine is silent", async () => {
    const machine = new LocalMachine();
    machine.reachable = false;
    const known = { ...inputs, versions: { kubelet: "1.34.2" } };
    expect((await nodeRuntimeKind.read(testContext(machine), "n1", known))?.outputs.versions).to.deep.equal(
      known.versions,
    );
    machine.close();
  });
});
