import { expect } from "chai";
import { parse } from "yaml";
import { PlacementError } from "../../components/nodes";
import { declared, production, read } from "../support/node-layer";
import { find } from "../support/recorded-resources";

describe("NodeLayer: disks", function () {
  // The first one loads the SDK.
  this.timeout(30_000);

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
});
