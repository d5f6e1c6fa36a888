import { expect } from "chai";
import fc from "fast-check";
import { parseProbe, probeScript, stealBetween } from "../../provider/machine/probe";
import { machineKind } from "../../provider/machine/kind";
import { unmet } from "../../provider/machine/verify";
import { refuseUnfit, type Inventory, type MachineInputs } from "../../provider/machine/schema";
import { UserError } from "../../provider/core/kind";
import { exampleHostKey } from "../support/hosts";
import { LocalMachine, owner, testContext } from "../support/local-machine";

const raw = {
  endpoint: { address: "192.0.2.1", hostKey: exampleHostKey() },
  owner,
  name: "m1",
  source: "existing",
  plan: "dedicated",
  vcpus: 4,
  hypervisors: ["kvm", "none"],
  maxStealPercent: 1,
  country: "NO",
};

function inputs(changes: Record<string, unknown> = {}): MachineInputs {
  const checked = machineKind.check({ ...raw, ...changes });
  expect(checked.failures).to.deep.equal([]);
  return checked.inputs;
}

const fit: Inventory = {
  checkedAt: "2026-01-01T00:00:00.000Z",
  hypervisor: "kvm",
  vcpus: 4,
  memoryBytes: 8 * 2 ** 30,
  stealPercent: 0.2,
  kernel: "6.12.0",
  rootDisk: { device: "/dev/nvme0n1", transport: "nvme", rotational: false },
  clockOffsetSeconds: 0,
  cloudInit: "done",
};

const answers = (changes: Record<string, string> = {}): string =>
  Object.entries({
    cloudInit: "status: done",
    stat1: "cpu  100 0 100 800 0 0 0 0 0 0",
    hypervisor: "kvm",
    vcpus: "4",
    memory: "8388608",
    kernel: "6.12.0",
    rootSource: "/dev/mapper/vg-root",
    rootDisk: `{"blockdevices":[{"name":"vg-root","type":"lvm","tran":null,"rota":false,"children":[
      {"name":"nvme0n1p2","type":"part","tran":"nvme","rota":false,"children":[{"name":"nvme0n1","type":"disk","tran":"nvme","rota":false}]}]}]}`,
    clock: "1000",
    stat2: "cpu  150 0 150 895 0 0 0 5 0 0",
    ...changes,
  })
    .map(([name, value]) => `\n@@ ${name}\n${value}\n`)
    .join("");

describe("machine: probe", () => {
  it("reads this computer with a real shell in one script", async () => {
    const machine = new LocalMachine();
    try {
      const result = await machine.script(machine.endpoint, probeScript(5));
      expect(result.stderr).to.equal("");
      const inventory = parseProbe("here", result.stdout, Date.now());
      expect(inventory.vcpus).to.be.greaterThan(0);
      expect(inventory.memoryBytes).to.be.greaterThan(100 * 2 ** 20);
      expect(inventory.hypervisor).to.match(/^[a-z-]+$/);
      expect(inventory.kernel).to.match(/^\d+\./);
      expect(Math.abs(inventory.clockOffsetSeconds)).to.be.lessThan(3);
    } finally {
      machine.close();
    }
  });

  it("takes cloud-init's last word from its result, without starting cloud-init", async () => {
    const machine = new LocalMachine();
    machine.command("cloud-init", "sleep 30");
    try {
      const wordFor = async (errors: string): Promise<string> => {
        const result = `{\n "v1": {\n  "datasource": "DataSourceNoCloud",\n  "errors": ${errors}\n }\n}\n`;
        machine.write("run/cloud-init/result.json", result);
        const { stdout } = await machine.script(machine.endpoint, probeScript(20));
        return parseProbe("here", stdout, Date.now()).cloudInit;
      };
      expect(await wordFor("[]")).to.equal("done");
      expect(await wordFor("[\n   \"('ssh', KeyError)\"\n  ]")).to.equal("error");
    } finally {
      machine.close();
    }
  });

  it("finds the disk under LVM and a partition, and computes steal", () => {
    const inventory = parseProbe("m1", answers(), 1_002_000);
    expect(inventory.rootDisk).to.deep.equal({ device: "/dev/nvme0n1", transport: "nvme", rotational: false });
    expect(inventory.stealPercent).to.equal(2.5);
    expect(inventory.clockOffsetSeconds).to.equal(0);
    expect(inventory.memoryBytes).to.equal(8 * 2 ** 30);
  });

  it("takes util-linux's old way of writing a rotational disk", () => {
    const disk =
      '{"blockdevices":[{"name":"sda1","type":"part","tran":null,"rota":"1","children":[{"name":"sda","type":"disk","tran":"sata","rota":"1"}]}]}';
    expect(parseProbe("m1", answers({ rootDisk: disk }), 0).rootDisk).to.deep.equal({
      device: "/dev/sda",
      transport: "sata",
      rotational: true,
    });
  });

  it("names the machine and the question that it did not answer", () => {
    expect(() => parseProbe("m1", answers({ vcpus: "" }), 0)).to.throw(/machine m1: no answer for "vcpus"/);
  });

  it("keeps steal between 0 and 100 whatever the other counters do", () => {
    const counters = fc.array(fc.nat(1e9), { minLength: 10, maxLength: 10 });
    fc.assert(
      fc.property(counters, counters, fc.nat(1e6), (a, b, stolen) => {
        const after = b.map((ticks, i) => (i === 7 ? a[7]! + stolen : i === 0 ? a[0]! + 1 : ticks));
        expect(stealBetween(`cpu  ${a.join(" ")}`, `cpu  ${after.join(" ")}`)).to.be.within(0, 100);
      }),
    );
  });

  it("takes a /proc/stat that stands still, goes back or has no steal for no measurement, and not for 0 %", () => {
    const stood = "cpu  100 0 100 800 0 0 0 5 0 0";
    for (const after of [stood, "cpu  200 0 100 800 0 0 0 4 0 0", "cpu  200 0 100 800"]) {
      expect(stealBetween(stood, after), after).to.equal(undefined);
      expect(parseProbe("m1", answers({ stat1: stood, stat2: after }), 0).stealPercent, after).to.equal(null);
    }
  });

  it("needs no steal where any is allowed, and refuses without it where a limit was set", () => {
    const unknown = { ...fit, stealPercent: null };
    expect(unmet(inputs({ maxStealPercent: 100 }), unknown)).to.deep.equal([]);
    expect(unmet(inputs({ maxStealPercent: 1 }), unknown).join()).to.match(/^steal is unknown, at most 1 % is allowed/);
  });

  it("is read where nobody knows the disk under /, or lsblk writes no JSON", () => {
    const unknown = { device: "unknown", transport: "unknown", rotational: false };
    expect(parseProbe("m1", answers({ rootSource: "", rootDisk: "" }), 0).rootDisk).to.deep.equal(unknown);
    const garbled = parseProbe("m1", answers({ rootSource: "/dev/vda1", rootDisk: '{"blockdevices": [' }), 0);
    expect(garbled.rootDisk).to.deep.equal({ ...unknown, device: "/dev/vda1" });
  });

  it("counts the CPUs that are online, not those that are configured", async () => {
    const machine = new LocalMachine();
    machine.command("nproc", "echo 8");
    machine.command("getconf", '[ "$1" = _NPROCESSORS_ONLN ] && echo 6');
    const { stdout } = await machine.script(machine.endpoint, probeScript(5));
    expect(parseProbe("m1", stdout, 0).vcpus).to.equal(6);
    machine.close();
  });
});

describe("machine: requirements", () => {
  it("are met by a fit machine", () => {
    expect(unmet(inputs(), fit)).to.deep.equal([]);
  });

  it("are all named at once, with what was measured, what is required and what to do", () => {
    const faults = unmet(inputs(), {
      ...fit,
      hypervisor: "openvz",
      vcpus: 2,
      stealPercent: 7.5,
      clockOffsetSeconds: -90,
    });
    expect(faults).to.have.length(4);
    expect(faults[0]).to.match(/container \(openvz\), accepted: kvm, none; rent/);
    expect(faults[1]).to.match(/has 2 vCPUs, 4 are declared; resize/);
    expect(faults[2]).to.match(/steal is 7.5 % over 2 s, at most 1 % is allowed.*dedicated cores/);
    expect(faults[3]).to.match(/90 s behind.*60 s.*chrony/);
  });

  it("take a failed cloud-init of a carved machine for a fault, of a rented one not", () => {
    expect(unmet(inputs({ source: "carved" }), { ...fit, cloudInit: "error" })).to.have.length(1);
    expect(unmet(inputs(), { ...fit, cloudInit: "error" })).to.deep.equal([]);
    expect(unmet(inputs(), { ...fit, cloudInit: "running" })[0]).to.match(/cloud-init has not finished/);
  });
});

describe("machine: offline rules", () => {
  const production = { owner: { ...owner, environment: "production" } };
  const unfit = { plan: "shared", vcpus: 2, hypervisors: ["qemu", "lxc"] };
  const failures = (changes: Record<string, unknown>): string[] =>
    machineKind
      .check({ ...raw, ...production, ...changes })
      .failures.map((failure) => `${failure.property}: ${failure.reason}`);

  it("refuse shared plans, few vCPUs, emulation and containers in production, together, and connect to nothing", async () => {
    const machine = new LocalMachine();
    try {
      const ctx = testContext(machine);
      const bad = inputs({ ...production, ...unfit });
      const known = { ...inputs(production), inventory: fit };
      for (const refused of [() => machineKind.create(ctx, bad), () => machineKind.update(ctx, "m1", known, bad)]) {
        const error = await refused().then(
          () => expect.fail("accepted"),
          (reason: unknown) => reason as Error,
        );
        expect(error).to.be.instanceOf(UserError);
        expect(error.message.split("\n")).to.deep.equal([
          "node m1 is refused in production:",
          '  - its plan is "shared": take dedicated vCPUs (cpu or plan: dedicated), or bare metal',
          "  - it has 2 vCPUs: give each node at least 4",
          "  - it accepts qemu, lxc, which is emulation or a container: use KVM or bare metal",
        ]);
      }
      expect(machine.scripts).to.deep.equal([]);
    } finally {
      machine.close();
    }
  });

  it("leave previews to the policies, and development alone", () => {
    expect(failures(unfit)).to.deep.equal([]);
    expect(() => refuseUnfit(inputs(unfit))).not.to.throw();
  });

  it("name what is wrong and where", () => {
    const found = failures({ vcpus: 0, country: "Norway", endpoint: { address: "a b", hostKey: "x" } });
    expect(found.map((line) => line.split(":")[0])).to.include.members([
      "vcpus",
      "country",
      "endpoint.address",
      "endpoint.hostKey",
    ]);
  });
});

describe("machine: refresh", () => {
  const known = { ...inputs(), inventory: fit };

  it("keeps the last known state when the machine is silent, and says so", async () => {
    const machine = new LocalMachine();
    machine.reachable = false;
    const ctx = testContext(machine);
    const seen = await machineKind.read(ctx, "m1", known);
    expect(seen?.inputs).to.deep.equal(inputs());
    expect(seen?.outputs.inventory).to.deep.equal(fit);
    expect(ctx.warned[0]).to.match(/node m1 could not be checked/);
    machine.close();
  });

  it("shows fewer vCPUs and another hypervisor as drift of their inputs", async () => {
    const machine = new LocalMachine();
    machine.command("getconf", "echo 2");
    machine.command("systemd-detect-virt", '[ "$1" = --container ] && { echo none; exit 1; }; echo qemu');
    const ctx = testContext(machine);
    const seen = await machineKind.read(ctx, "m1", known);
    expect(seen?.inputs.vcpus).to.equal(2);
    expect(seen?.inputs.hypervisors).to.deep.equal(["qemu"]);
    expect(seen?.outputs.inventory.vcpus).to.equal(2);
    expect(
      machineKind.diff({ ...seen!.inputs, ...seen!.outputs }, inputs()).map((change) => change.property),
    ).to.include.members(["vcpus", "hypervisors[0]"]);
    machine.close();
  });

  it("does not take time and steal for drift", async () => {
    const machine = new LocalMachine();
    const ctx = testContext(machine);
    const generous = inputs({
      vcpus: 1,
      hypervisors: ["kvm", "none", "docker", "container-other", "qemu", "vm-other"],
      maxStealPercent: 100,
    });
    const first = parseProbe("m1", (await machine.script(machine.endpoint, probeScript(5))).stdout, Date.now());
    const before = { ...generous, inventory: { ...first, stealPercent: 77, checkedAt: "2026-01-01T00:00:00.000Z" } };
    expect((await machineKind.read(ctx, "m1", before))?.outputs.inventory).to.deep.equal(before.inventory);
    machine.close();
  });
});
