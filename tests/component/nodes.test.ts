import { expect } from "chai";
import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";
import { NodeLayer, PlacementError } from "../../components/nodes";
import { parseStack, type StackSpec } from "../../config";
import { Evidence } from "../../provider/sdk";
import { exampleHostKey } from "../support/hosts";
import { find, recordResources, type RecordedResource } from "../support/recorded-resources";

const checkout = path.resolve(__dirname, "../../..");
const read = (file: string) => fs.readFileSync(path.join(checkout, file), "utf8");

/** The committed production stack, with changes to the values of its sections. */
function production(change: (pools: Record<string, object>) => void = () => {}): StackSpec {
  const { config } = parse(read("Pulumi.prod.yaml")) as { config: Record<string, unknown> };
  const raw = Object.fromEntries(Object.entries(config).map(([key, value]) => [key.replace("kvmesh:", ""), value]));
  change(raw["pools"] as Record<string, object>);
  return parseStack(raw, { stack: "prod", readFacts: (file) => JSON.parse(read(file)) as unknown });
}

const outputs = {
  "kvmesh:index:HostKey": { privateKey: "PRIVATE", publicKey: exampleHostKey() },
  "kvmesh:index:Image": { path: "/var/lib/kvmesh/base.qcow2" },
  "kvmesh:index:Volume": { path: "/var/lib/kvmesh/disk.qcow2" },
  "kvmesh:index:BlockDevice": { path: "/dev/disk/by-id/device" },
  "kvmesh:index:Domain": { uuid: "0b6f0f3c-0000-4000-8000-000000000001" },
  "kvmesh:index:Evidence": {
    record: {
      takenAt: "2026-11-22T06:00:00.000Z",
      verdict: "pass",
      values: [
        { id: "steal", measured: 0.1, unit: "%" },
        { id: "fsync-p50-1", measured: 0.4, unit: "ms" },
        { id: "fsync-p99-1", measured: 1.25, unit: "ms" },
      ],
    },
    digest: "sha256:00",
  },
};

/** What NodeLayer declares for a stack, and the layer itself. */
async function declared(spec: StackSpec): Promise<{ layer: NodeLayer; resources: readonly RecordedResource[] }> {
  const owner = { project: "kvmesh", stack: "prod", cluster: spec.clusterName, environment: spec.environment };
  let layer: NodeLayer | undefined;
  const resources = await recordResources(() => {
    layer = new NodeLayer(spec.clusterName, { ...spec, owner, placed: [] });
  }, outputs);
  return { layer: layer!, resources };
}

/** Of the host that a resource is on. */
function addressOf(inputs: Readonly<Record<string, unknown>>): string {
  return (inputs["host"] as { readonly address: string }).address;
}

describe("NodeLayer", function () {
  // The first one loads the SDK.
  this.timeout(30_000);

  it("declares an image a host, and key, lease, disk, domain and check a machine", async () => {
    const { resources } = await declared(production());
    const count = (kind: string) => resources.filter(({ type }) => type === `kvmesh:index:${kind}`).length;
    expect({
      Tenancy: count("Tenancy"),
      Image: count("Image"),
      HostKey: count("HostKey"),
      CoreLease: count("CoreLease"),
      Volume: count("Volume"),
      Domain: count("Domain"),
      Machine: count("Machine"),
    }).to.deep.equal({ Tenancy: 3, Image: 3, HostKey: 6, CoreLease: 6, Volume: 6, Domain: 6, Machine: 6 });
  });

  it("puts the disks of a pool into its hosts' thin pools, and gives them to the machine as block devices", async () => {
    const plain = production();
    const GIB = 2 ** 30;
    const pool = { volumeGroup: "nvme", name: "machines", bytes: 900 * GIB, metadataBytes: GIB, foreignBytes: 0 };
    const spec = {
      ...plain,
      hosts: plain.hosts.map((host) => ({
        ...host,
        lvm: { volumeGroup: "nvme", thinPool: "machines", overcommit: 1 },
        facts: { ...host.facts, thinPools: [pool] },
      })),
      pools: plain.pools.map((one) =>
        one.role === "control-plane" && one.source === "hosts" ? { ...one, storage: "lvm-thin" as const } : one,
      ),
    };
    const { resources } = await declared(spec);
    const [name] = resources.flatMap(({ type, name: of }) =>
      type.endsWith(":Domain") && of.includes("control") ? [of] : [],
    );
    const disk = find(resources, "kvmesh:index:Volume", name!).inputs;
    expect(disk).to.deep.include({
      ...{ name, thinPool: { volumeGroup: "nvme", name: "machines", overcommit: 1 }, format: "raw" },
      base: "/var/lib/kvmesh/base.qcow2",
    });
    expect(disk).not.to.have.property("storage");
    const [system] = find(resources, "kvmesh:index:Domain", name!).inputs["disks"] as object[];
    expect(system).to.deep.include({ type: "block", format: "raw", target: "vda" });
    const worker = resources.find(({ type, name: of }) => type.endsWith(":Volume") && of.includes("worker"))!.inputs;
    expect(worker).to.deep.include({ storage: "/var/lib/kvmesh", format: "qcow2" });
    const small = spec.hosts.map((host) => ({
      ...host,
      facts: { ...host.facts, thinPools: [{ ...pool, bytes: GIB }] },
    }));
    await declared({ ...spec, hosts: small }).then(
      () => expect.fail("it is too small"),
      (error: unknown) => expect(error).to.be.instanceOf(PlacementError),
    );
  });

  it("has whatever is on a host depend on the stack's tenancy there, so that this is deleted last and finds what is left", async () => {
    const { resources } = await declared(production());
    const domains = resources.filter(({ type }) => type === "kvmesh:index:Domain");
    for (const { inputs } of resources.filter(({ type }) => type === "kvmesh:index:Tenancy"))
      expect(inputs["machines"]).to.have.members(
        domains.filter(({ inputs: of }) => addressOf(of) === addressOf(inputs)).map(({ name }) => name),
      );
    for (const kind of ["Image", "CoreLease", "Volume"])
      for (const { dependsOn, inputs: of } of resources.filter(({ type }) => type === `kvmesh:index:${kind}`)) {
        const host = resources.find(
          ({ type, inputs: its }) => type.endsWith(":Tenancy") && addressOf(its) === addressOf(of),
        );
        expect(dependsOn, kind).to.include(host?.name ?? "its tenancy");
      }
  });

  it("gives a domain plain pins, its own CPUs' lease, local memory and housekeeping threads", async () => {
    const { resources } = await declared(production());
    const domain = find(resources, "kvmesh:index:Domain", "nor-control-0");
    expect(domain.inputs).to.deep.include({
      name: "nor-control-0",
      type: "kvm",
      vcpus: 4,
      vcpuPins: [1, 65, 2, 66],
      emulatorPin: [0, 64],
      ioThreadPin: [0, 64],
      memoryBytes: 16 * 2 ** 30,
      numaNode: 0,
      hugepageBytes: 2 ** 30,
    });
    expect(find(resources, "kvmesh:index:CoreLease", "nor-control-0").inputs).to.deep.include({
      machine: "nor-control-0",
      cpus: [1, 2, 65, 66],
    });
    expect(domain.dependsOn).to.include("nor-control-0");
  });

  it("waits for the domain before it checks a machine, through its host, with the key that it was given", async () => {
    const { resources } = await declared(production());
    const machine = find(resources, "kvmesh:index:Machine", "nor-worker-1");
    expect(machine.inputs).to.deep.include({ source: "carved", plan: "dedicated", vcpus: 16, hypervisors: ["kvm"] });
    const endpoint = machine.inputs["endpoint"] as Record<string, unknown>;
    expect(endpoint).to.deep.include({ address: "10.20.0.22", user: "root", hostKey: exampleHostKey() });
    expect(endpoint["bastion"]).to.deep.include({ address: "192.0.2.11" });
  });

  it("measures each machine after it answers, against what its domain declares, before anything waits for it", async () => {
    const { layer, resources } = await declared(production());
    const { inputs, dependsOn } = find(resources, "kvmesh:index:Evidence", "nor-control-0");
    expect(inputs).to.deep.include({
      role: "control-plane",
      plan: "dedicated",
      maxFsyncMs: 10,
      maxStealPercent: 1,
      directory: "/var/lib/etcd",
      windowSeconds: 10,
      fsyncWriters: [1, 2, 4],
      fsyncBytes: 22 * 2 ** 20,
      maxAgeSeconds: 30 * 86_400,
      domain: { vcpuPins: [1, 65, 2, 66], emulatorPin: [0, 64], ioThreadPin: [0, 64], numaNode: 0 },
    });
    expect(dependsOn).to.include("nor-control-0");
    expect(find(resources, "kvmesh:index:Evidence", "nor-worker-0").inputs["directory"]).to.equal("/var/lib");
    expect(layer.nodes[0]!.ready.some((one) => one instanceof Evidence)).to.equal(true);
    const shown = await new Promise((resolve) => void layer.evidence["nor-control-0"]!.apply(resolve));
    expect(shown).to.deep.equal({
      verdict: "pass",
      takenAt: "2026-11-22T06:00:00.000Z",
      fsyncP99: "1.25 ms",
      steal: "0.1 %",
      digest: "sha256:00",
    });
  });

  it("puts the control planes on three hosts and says so in its summary", async () => {
    const { layer } = await declared(production());
    const planes = layer.summary.filter(({ role }) => role === "control-plane");
    expect(planes.map(({ host }) => host)).to.have.members(["osl1-a", "bgo1-a", "trd1-a"]);
    expect(planes.find(({ host }) => host === "bgo1-a")).to.deep.equal({
      name: "nor-control-0",
      pool: "control",
      role: "control-plane",
      address: "10.20.0.11",
      location: "NO Bergen",
      host: "bgo1-a",
      cpus: "1-2,65-66",
    });
  });

  it("gives each machine data disks of its own, beside it and not of it, and tells it to mount them", async () => {
    const disk = { name: "etcd", size: "20GiB", mount: { path: "/var/lib/etcd" } };
    const { resources } = await declared(production((pools) => Object.assign(pools["control"]!, { disks: [disk] })));
    const volumes = resources.filter(({ type, name }) => type === "kvmesh:index:Volume" && name.endsWith(".etcd"));
    expect(volumes.map(({ name }) => name)).to.have.members([0, 1, 2].map((i) => `nor-control-${i}.etcd`));
    const volume = volumes.find(({ name }) => name === "nor-control-0.etcd")!;
    expect(volume.inputs).to.deep.include({
      name: "nor-control-0.etcd.raw",
      capacityBytes: 20 * 2 ** 30,
      format: "raw",
      onDestroy: "keep",
    });
    expect(volume.inputs).to.not.have.property("base");
    expect(volume.dependsOn, "the tenancy on its host, and nothing of the machine").to.deep.equal(["bgo1-a"]);
    const domain = find(resources, "kvmesh:index:Domain", "nor-control-0");
    const disks = domain.inputs["disks"] as object[];
    expect(disks[1]).to.deep.include({ type: "file", format: "raw", target: "vdb", serial: "etcd" });
    const { userData } = domain.inputs["cloudInit"] as { userData: string };
    const { bootcmd } = parse(userData) as { bootcmd: string[] };
    expect(bootcmd).to.have.length(1);
    expect(bootcmd[0]).to.contain("d=/dev/disk/by-id/virtio-etcd\nm=/var/lib/etcd\n");
  });

  it("places machines on the hosts of their block devices, and claims these for them", async () => {
    // Second disks of the hosts, as their facts have them.
    const devices = ["bgo1-a", "osl1-a", "osl1-a"].map((host, i) => {
      const { disks } = JSON.parse(read(`facts/${host}.json`)) as { disks: { byId: string; serial: string }[] };
      const { byId, serial } = disks[1]!;
      return { host, id: `${byId}-part${i + 1}`, serial };
    });
    const disk = { name: "etcd", size: "20GiB", devices };
    const spec = production((pools) => Object.assign(pools["control"]!, { disks: [disk] }));
    const { layer, resources } = await declared(spec);
    const planes = layer.summary.filter(({ role }) => role === "control-plane");
    expect(planes.map(({ host }) => host)).to.deep.equal(devices.map(({ host }) => host));
    const device = find(resources, "kvmesh:index:BlockDevice", "nor-control-1.etcd");
    expect(device.inputs).to.deep.include({
      ...{ machine: "nor-control-1", disk: "etcd", device: devices[1]!.id, serial: devices[1]!.serial },
      minBytes: 20 * 2 ** 30,
    });
    expect(resources.filter(({ type, name }) => type.endsWith(":Volume") && name.endsWith(".etcd"))).to.be.empty;
    const domain = find(resources, "kvmesh:index:Domain", "nor-control-1");
    expect((domain.inputs["disks"] as object[])[1]).to.deep.include({
      ...{ type: "block", path: "/dev/disk/by-id/device", format: "raw", target: "vdb", serial: "etcd" },
    });
  });

  it("writes the image to devices that are system disks, and places the machines on their hosts", async () => {
    const devices = ["bgo1-a", "osl1-a", "trd1-a"].map((host) => {
      const { disks } = JSON.parse(read(`facts/${host}.json`)) as { disks: { byId: string; serial: string }[] };
      return { host, id: `${disks[1]!.byId}-part2`, serial: disks[1]!.serial };
    });
    const { layer, resources } = await declared(
      production((pools) => Object.assign(pools["worker"]!, { diskDevices: devices })),
    );
    const workers = layer.summary.filter(({ role }) => role === "worker");
    expect(workers.map(({ host }) => host)).to.deep.equal(devices.map(({ host }) => host));
    const device = find(resources, "kvmesh:index:BlockDevice", "nor-worker-0");
    expect(device.inputs).to.deep.include({
      ...{ machine: "nor-worker-0", disk: "system.disk", device: devices[0]!.id, serial: devices[0]!.serial },
      ...{ base: "/var/lib/kvmesh/base.qcow2", baseFormat: "qcow2" },
    });
    expect(resources.filter(({ type, name }) => type.endsWith(":Volume") && name.includes("worker"))).to.be.empty;
    const [system] = find(resources, "kvmesh:index:Domain", "nor-worker-0").inputs["disks"] as object[];
    expect(system).to.deep.equal({ type: "block", path: "/dev/disk/by-id/device", format: "raw", target: "vda" });
  });

  it("restarts machines for a change only where their pool says so, drained through the first control plane, also when its pool comes last", async () => {
    const spec = production();
    const pools = [...spec.pools].sort((a) => (a.role === "worker" ? -1 : 1));
    const changed = pools.map((pool) =>
      pool.source === "hosts" && pool.role === "worker" ? { ...pool, restart: "needed" as const } : pool,
    );
    const { layer, resources } = await declared({ ...spec, pools: changed });
    expect(layer.nodes.map(({ role }) => role).indexOf("control-plane"), "nodes stay in the order of pools").to.equal(
      3,
    );
    expect(find(resources, "kvmesh:index:Domain", "nor-control-0").inputs["restart"]).to.equal(undefined);
    const first = find(resources, "kvmesh:index:Machine", "nor-control-0").inputs["endpoint"];
    const own = find(resources, "kvmesh:index:Machine", "nor-worker-1").inputs["endpoint"];
    expect(find(resources, "kvmesh:index:Domain", "nor-worker-1").inputs["restart"]).to.deep.equal({
      when: "needed",
      endpoint: own,
      drain: { controlPlane: first, node: "nor-worker-1" },
    });
  });

  it("drains the first control plane through itself", async () => {
    const spec = production();
    const pools = spec.pools.map((pool) => (pool.source === "hosts" ? { ...pool, restart: "needed" as const } : pool));
    const { resources } = await declared({ ...spec, pools });
    const own = find(resources, "kvmesh:index:Machine", "nor-control-0").inputs["endpoint"];
    for (const name of ["nor-control-0", "nor-control-2"])
      expect(find(resources, "kvmesh:index:Domain", name).inputs["restart"]).to.deep.include({
        drain: { controlPlane: own, node: name },
      });
  });

  it("declares shared vCPUs without pins and without a lease: the policies name them", async () => {
    const spec = production((pools) => Object.assign(pools["worker"]!, { cpu: "shared" }));
    const { resources } = await declared(spec);
    expect(find(resources, "kvmesh:index:Domain", "nor-worker-0").inputs["vcpuPins"]).to.deep.equal([]);
    expect(resources.filter(({ type, name }) => type.endsWith(":CoreLease") && name.includes("worker"))).to.be.empty;
    expect(find(resources, "kvmesh:index:Machine", "nor-worker-0").inputs["plan"]).to.equal("shared");
  });

  it("only checks machines that exist", async () => {
    const machine = {
      endpoint: { address: "198.51.100.5", hostKey: exampleHostKey(3) },
      location: { country: "NO", site: "Bergen" },
      plan: "metal",
      vcpus: 32,
    };
    const spec = production((pools) =>
      Object.assign(pools, { worker: { role: "worker", machines: { "metal-1": machine } } }),
    );
    const { layer, resources } = await declared(spec);
    const ofMachine = resources.filter(({ name }) => name === "metal-1").map(({ type }) => type);
    expect(ofMachine).to.have.members([
      "kvmesh:nodes:ExistingMachine",
      "kvmesh:index:Machine",
      "kvmesh:index:Evidence",
    ]);
    expect(find(resources, "kvmesh:index:Machine", "metal-1").inputs).to.deep.include({
      source: "existing",
      plan: "metal",
      hypervisors: ["none"],
      maxStealPercent: 1,
    });
    expect(layer.nodes.at(-1)).to.deep.include({ name: "metal-1", nodeAddress: "198.51.100.5" });
  });

  it("declares nothing at all when a machine has no place", async () => {
    const spec = production((pools) => Object.assign(pools["worker"]!, { count: 10, vcpus: 60 }));
    let message = "";
    const resources = await recordResources(() => {
      const owner = { project: "kvmesh", stack: "prod", cluster: "nor", environment: spec.environment };
      try {
        new NodeLayer("nor", { ...spec, owner, placed: [] });
      } catch (error) {
        if (error instanceof PlacementError) message = error.message;
      }
    });
    expect(message)
      .to.match(/nor-worker-\d \(pool worker\) fits on no host/)
      .and.to.include("osl1-a: NUMA node 0:");
    expect(resources).to.deep.equal([]);
  });

  it("prepares a host before anything is made there, and declares nothing of that for the others", async () => {
    const spec = production();
    const hosts = spec.hosts.map((host, i) =>
      i > 0
        ? host
        : {
            ...host,
            prepare: { packages: false, isolateCpus: true, sysctl: {}, reboot: "never" as const },
          },
    );
    const { resources } = await declared({ ...spec, hosts });
    const commands = resources.filter(({ type }) => type === "command:local:Command");
    const prepared = hosts[0]!.name;
    expect(commands.map(({ name }) => name)).to.deep.equal([prepared]);
    const kinds = ["Image", "Network", "CoreLease", "Volume", "Domain"].map((kind) => `kvmesh:index:${kind}`);
    const made = resources.filter(({ type }) => kinds.includes(type));
    const address = (inputs: Record<string, unknown>) => (inputs["host"] as { address: string }).address;
    const on = made.filter(({ inputs }) => address(inputs) === hosts[0]!.endpoint.address);
    expect(new Set(on.map(({ type }) => type)).size).to.equal(4);
    for (const { name, type, dependsOn } of on) expect(dependsOn, `${type} ${name}`).to.include(prepared);
    const input = JSON.stringify(commands[0]!.inputs);
    expect(input).to.include("isolcpus=managed_irq,domain,").and.include(hosts[0]!.endpoint.hostKey);
    expect(commands[0]!.inputs).not.to.have.property("triggers");

    const none = await declared(spec);
    expect(
      none.resources.filter(({ type }) => type.includes("Preparation") || type.startsWith("command")),
    ).to.deep.equal([]);
  });
});
