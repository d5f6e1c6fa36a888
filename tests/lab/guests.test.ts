import { createServer } from "node:net";
import { expect } from "chai";
import { parse, stringify } from "yaml";
import { macOf, metaData, networkConfig, userData } from "../../components/nodes/cloud-init";
import { without } from "../../provider/core/values";
import { domainKind } from "../../provider/domain/domain";
import type { DomainInputs, DomainOutputs } from "../../provider/domain/schema";
import { hostKeyKind } from "../../provider/hostkey/hostkey";
import { networkKind } from "../../provider/network/network";
import type { NetworkInputs, NetworkOutputs } from "../../provider/network/schema";
import type { Endpoint } from "../../provider/transport/transport";
import type { VolumeInputs } from "../../provider/volume/schema";
import { volumeKind } from "../../provider/volume/volume";
import { labSite, type LabSite } from "../support/lab-site";

const isRoot = process.getuid?.() === 0 && process.platform === "linux";
const owner = { project: "guests", stack: "test", cluster: "test", environment: "development" } as const;
const name = "guests-0";
const MIB = 1024 * 1024;
const GUEST_BOOTS = 10 * 60_000;

/** What only a booted guest can show: that addresses, devices and memory that libvirt took are there inside. One boot for all of it. */
(isRoot ? describe : describe.skip)(`a guest that boots${isRoot ? "" : " (needs root on Linux)"}`, function () {
  this.timeout(20 * 60_000);
  const report = (line: string): void => void process.stdout.write(`    ${line}\n`);
  let lab: LabSite;
  let inputs: DomainInputs;
  let made: DomainInputs & DomainOutputs;
  let id: string;
  /** The same guest behind its host, in the NAT network, and beside it, on the LAN. */
  let behind: Endpoint;
  let beside: Endpoint;
  let network: { readonly id: string; readonly state: NetworkInputs & NetworkOutputs };
  let disk: { readonly id: string; readonly state: VolumeInputs & { readonly path: string } };
  let nat: string;

  before(async () => {
    lab = await labSite(owner, report);
    const { endpoint: host, make } = lab;
    const { storage } = lab.host;
    network = await make(networkKind, {
      ...{ host, owner, name: "guests-nat", bridge: "kvmesh-gn0" },
      ...{ cidr: "10.217.8.0/24", address: "10.217.8.1" },
    });
    nat = network.state.address;
    // A second card of the host, in the LAN: a cable to the bridge. Where there is no udev, /dev is not the kernel's own, so
    // that the nodes of macvtap interfaces are looked up there.
    await lab.shell(
      host,
      `ip link add lan0 type veth peer name lan0-cable
ip link set lan0-cable master ${lab.host.bridge} up
ip link set lan0 up
mkdir -p /run/kernel-dev
mount -t devtmpfs none /run/kernel-dev
for i in $(seq 200); do ln -s /run/kernel-dev/tap$i /dev/tap$i; done`,
    );
    disk = await make(volumeKind, {
      ...{ host, owner, storage, name: `${name}.qcow2`, capacityBytes: 4 * 2 ** 30, format: "qcow2" },
      ...{ base: lab.image, baseFormat: "qcow2" },
    });
    const key = (await make(hostKeyKind, {})).state;
    const macs = { nat: macOf(owner.cluster, `${name}-nat`), lan: macOf(owner.cluster, `${name}-lan`) };
    const cards = {
      nat: networkConfig({ mac: macs.nat, address: "10.217.8.20", prefix: 24, gateway: nat, nameservers: [] }),
      lan: networkConfig({ mac: macs.lan, address: lab.network.firstWorkerAddress, prefix: 24, nameservers: [] }),
    };
    const ethernets = Object.entries(cards).map(([card, text]) => {
      const one = parse(text, { version: "1.1" }) as { ethernets: { primary: object } };
      return [card, one.ethernets.primary];
    });
    const domain = await make(domainKind, {
      ...{ host, owner, storage, name, type: "qemu", vcpus: 1, vcpuPins: [], emulatorPin: [], ioThreadPin: [] },
      ...{ memoryBytes: 1024 * MIB, maxMemoryBytes: 1024 * MIB, firmware: "efi" },
      disks: [{ type: "file", path: disk.state.path, format: "qcow2", target: "vda" }],
      interfaces: [
        { type: "network", network: "guests-nat", mac: macs.nat },
        { type: "direct", device: "lan0", mode: "bridge", mac: macs.lan },
      ],
      cloudInit: {
        userData: userData({ hostname: name, hostKey: key, authorizedKeys: [lab.authorizedKey] }),
        metaData: metaData(name),
        networkConfig: stringify(
          { version: 2, ethernets: Object.fromEntries(ethernets) as object },
          { version: "1.1" },
        ),
      },
    });
    ({ id, state: made } = domain);
    inputs = without(made, "uuid", "running", "unmodelled");
    const at = { port: 22, user: "root", hostKey: key.publicKey };
    behind = { ...at, address: "10.217.8.20", bastion: host };
    beside = { ...at, address: lab.network.firstWorkerAddress };
    const started = Date.now();
    await lab.transport.waitUntilReachable(beside, GUEST_BOOTS, () => undefined);
    report(`the guest answers on the LAN after ${Math.round((Date.now() - started) / 1000)} s`);
  });

  after(() => lab.stop());

  it("is as declared, read from libvirt", async () => {
    const ctx = lab.context("machine");
    expect(await domainKind.read(ctx, id, made)).to.deep.equal({
      inputs,
      outputs: { uuid: id, running: true, unmodelled: [] },
    });
    expect(ctx.warnings).to.deep.equal([]);
  });

  it("has booted by UEFI, and its file system has the disk's size", async () => {
    const [firmware, bytes] = (await lab.shell(beside, "ls /sys/firmware | grep efi; findmnt -bno SIZE /")).split("\n");
    expect(firmware).to.equal("efi");
    expect(Number(bytes)).to.be.greaterThan(3.5 * 2 ** 30);
  });

  it("is reached by macvtap from the LAN, and through its host where only that sees it", async () => {
    expect(await lab.shell(beside, "hostname")).to.equal(name);
    expect(await lab.shell(behind, "hostname; echo $SSH_CONNECTION | cut -d' ' -f1,3")).to.equal(
      `${name}\n${nat} 10.217.8.20`,
    );
    const direct = await lab.transport
      .waitUntilReachable({ ...behind, bastion: undefined }, 4_000, () => undefined)
      .then(
        () => "reached",
        (error: unknown) => (error as Error).message,
      );
    expect(direct, "without its host").to.not.equal("reached");
  });

  it("reaches outside its NAT network under its host's address", async () => {
    const from: (string | undefined)[] = [];
    const server = createServer((socket) => {
      from.push(socket.remoteAddress);
      socket.end("hello\n");
    });
    const [own] = lab.network.cidr.split("0/");
    const address = `${own}254`;
    await new Promise<void>((resolve) => server.listen(0, address, resolve));
    const { port } = server.address() as { port: number };
    try {
      const said = await lab.shell(
        behind,
        `ip route add ${address} via ${nat}
bash -c 'exec 3<>/dev/tcp/${address}/${port}; cat <&3'
ip route del ${address} via ${nat}`,
      );
      expect(said).to.equal("hello");
      expect(from).to.deep.equal([lab.endpoint.address]);
    } finally {
      server.close();
    }
  });

  it("gives memory back and gets it again while it runs", async () => {
    const ctx = lab.context("machine");
    const total = async (): Promise<number> =>
      Number(await lab.shell(behind, "sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")) / 1024;
    /** A balloon takes its time; libvirt says how far it is. */
    const settled = async (target: DomainInputs): Promise<number> => {
      for (let waited = 0; ; waited += 1) {
        const seen = await domainKind.read(ctx, id, { ...made, ...target });
        if (seen?.inputs.memoryBytes === target.memoryBytes || waited === 60) {
          expect(seen?.inputs).to.deep.equal(target);
          return total();
        }
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    };
    const full = await total();
    const boot = await lab.shell(behind, "cat /proc/sys/kernel/random/boot_id");
    const less = { ...inputs, memoryBytes: 768 * MIB };
    expect(domainKind.diff(made, less).map(({ property, effect }) => `${property}: ${effect}`)).to.deep.equal([
      "memoryBytes: live",
    ]);
    await domainKind.update(ctx, id, made, less);
    const shrunk = await settled(less);
    report(`MemTotal ${Math.round(full)} MiB, with 256 MiB less ${Math.round(shrunk)} MiB`);
    expect(shrunk).to.be.within(full - 280, full - 230);
    await domainKind.update(ctx, id, { ...made, ...less }, inputs);
    expect(await settled(inputs)).to.be.greaterThan(full - 5);
    expect(await lab.shell(behind, "cat /proc/sys/kernel/random/boot_id"), "it never restarted").to.equal(boot);
    expect(ctx.warnings).to.deep.equal([]);
  });

  it("gets a disk while it runs, keeps it while it is mounted, and loses it then", async () => {
    const ctx = lab.context("machine");
    const volume = await lab.make(volumeKind, {
      ...{ host: lab.endpoint, owner, storage: lab.host.storage, name: `${name}.more.raw` },
      ...{ capacityBytes: 128 * MIB, format: "raw", onDestroy: "remove" },
    });
    const more: DomainInputs = {
      ...inputs,
      disks: [
        ...inputs.disks,
        { ...inputs.disks[0]!, type: "file", path: volume.state.path, format: "raw", target: "vdb", serial: "more" },
      ],
    };
    await domainKind.update(ctx, id, made, more);
    const at = "/dev/disk/by-id/virtio-more";
    await lab.shell(
      behind,
      `i=0; while [ ! -b ${at} ] && [ $i -lt 60 ]; do sleep 1; i=$((i + 1)); done
mkfs.ext4 -q ${at} && mount ${at} /mnt && echo kept >/mnt/file && sync`,
    );
    expect((await domainKind.read(ctx, id, { ...made, ...more }))?.inputs).to.deep.equal(more);
    expect(ctx.warnings).to.deep.equal([]);

    await domainKind.update(ctx, id, { ...made, ...more }, inputs);
    expect(ctx.warnings.splice(0).join()).to.contain(
      "vdb stays attached until the next start: the guest has it mounted",
    );
    expect(await lab.shell(behind, "cat /mnt/file; umount /mnt")).to.equal("kept");
    const seen = await domainKind.read(ctx, id, made);
    expect(
      seen?.inputs.disks.map(({ target }) => target),
      "refresh names what stayed",
    ).to.deep.equal(["vda", "vdb"]);
    await domainKind.update(ctx, id, { ...made, ...seen?.inputs }, inputs);
    expect(ctx.warnings).to.deep.equal([]);
    expect((await domainKind.read(ctx, id, made))?.inputs).to.deep.equal(inputs);
    expect(await lab.shell(behind, `[ -e ${at} ] || echo gone`)).to.equal("gone");
    await volumeKind.delete(ctx, volume.id, volume.state);
  });

  it("is removed with its disks and its network, and nothing of it is left on the host", async () => {
    const ctx = lab.context("machine");
    const started = Date.now();
    await domainKind.delete(ctx, id, made);
    report(`the guest shut down and was removed in ${((Date.now() - started) / 1000).toFixed(1)} s`);
    await volumeKind.delete(ctx, disk.id, disk.state);
    await networkKind.delete(ctx, network.id, network.state);
    const left = `virsh -q list --all --name | tr -d '\\n'; virsh -q net-list --all --name | grep guests || true
ls ${lab.host.storage} | grep ${name} || true
ip -br link | grep -e macvtap -e vnet -e kvmesh-gn0 || true`;
    expect(await lab.shell(lab.endpoint, left)).to.equal("");
    expect(ctx.warnings).to.deep.equal([]);
  });
});
