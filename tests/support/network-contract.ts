/** What a host must do with a NAT network of ours, simulated or real: a part of the contract (contract.ts). */
import { expect } from "chai";
import { networkKind } from "../../provider/network/network";
import type { NetworkInputs } from "../../provider/network/schema";
import { testContext, type TestContext } from "./context";
import { failure } from "./failure";
import type { Ground } from "./storage-contract";

const owner = { project: "contract", stack: "test", cluster: "test", environment: "development" } as const;

export function networkContract(ground: () => Ground): void {
  describe("a NAT network", () => {
    const network = (change: Partial<NetworkInputs> = {}): NetworkInputs =>
      networkKind.check({
        host: ground().endpoint,
        owner,
        name: "contract-net",
        bridge: "kvmesh-ct0",
        cidr: "10.217.4.0/24",
        address: "10.217.4.1",
        ...change,
      }).inputs;
    const context = (): TestContext => testContext(ground().transport, "network");
    let id: string;
    const made = (): Parameters<typeof networkKind.diff>[0] => ({
      ...network(),
      ...{ uuid: id, active: true, changed: [] },
    });

    it("is made, runs, starts with the host, and reads back as declared; a second create takes it over", async () => {
      const result = await networkKind.create(context(), network());
      id = result.id;
      expect(await networkKind.read(context(), id, made())).to.deep.equal({
        inputs: network(),
        outputs: { uuid: id, active: true, changed: [] },
      });
      expect(networkKind.diff(made(), network())).to.deep.equal([]);
      expect((await networkKind.create(context(), network())).id).to.equal(id);
      const info = await ground().shell("virsh -q net-info contract-net");
      expect(info)
        .to.match(/^Active: *yes$/m)
        .and.match(/^Autostart: *yes$/m);
      // dnsmasq of other networks, which is no root, reads its files in it.
      expect(await ground().shell("stat -c %a /var/lib/libvirt/dnsmasq")).to.equal("755");
    });

    it("is refused where its range, its bridge or its name is somebody else's, and nothing is made", async () => {
      const other = { name: "contract-other", bridge: "kvmesh-ct1", cidr: "10.218.0.0/24", address: "10.218.0.1" };
      const refusals: readonly [Partial<NetworkInputs>, string][] = [
        [{ cidr: "10.217.4.0/25", address: "10.217.4.1" }, "overlaps 10.217.4.1/24 of its network contract-net"],
        [{ bridge: "kvmesh-ct0" }, "its network contract-net has the bridge kvmesh-ct0"],
        [{ bridge: "lo" }, "the host has an interface lo already"],
        [{ cidr: "127.0.0.0/16", address: "127.0.0.9" }, "127.0.0.0/16 overlaps 127.0.0.1/8 of its interface lo"],
      ];
      for (const [change, words] of refusals) {
        const error = await failure(networkKind.create(context(), network({ ...other, ...change })));
        expect(error.message).to.contain(words).and.to.contain("nothing was made");
      }
      const mine = { ...owner, stack: "other" };
      const name = await failure(networkKind.create(context(), network({ owner: mine })));
      expect(name.message).to.contain("network contract-net is there already and belongs to stack contract/test");
      expect(await ground().shell("virsh -q net-list --all --name | grep contract | tr -d ' \\n'")).to.equal(
        "contract-net",
      );
    });

    it("shows when it was switched off or changed, and is repaired", async () => {
      await ground().shell(`virsh -q net-destroy contract-net >/dev/null
virsh -q net-autostart --disable contract-net >/dev/null
virsh -q net-dumpxml --inactive contract-net | sed 's/10\\.217\\.4\\.1/10.217.4.9/' >/tmp/contract-net.xml
virsh -q net-define /tmp/contract-net.xml >/dev/null; rm /tmp/contract-net.xml`);
      const seen = await networkKind.read(context(), id, made());
      expect(seen?.outputs).to.deep.equal({
        uuid: id,
        active: false,
        changed: ["its address is 10.217.4.9/24", "it does not start with the host"],
      });
      const drifted = { ...network(), ...seen!.outputs };
      expect(networkKind.diff(drifted, network()).map(({ property, effect }) => [property, effect])).to.deep.equal([
        ["active", "live"],
        ["changed", "live"],
      ]);
      await networkKind.update(context(), id, drifted, network());
      expect((await networkKind.read(context(), id, made()))?.outputs).to.deep.equal({
        uuid: id,
        active: true,
        changed: [],
      });
    });

    it("takes machines, and stays while one is defined with it", async () => {
      const { shell } = ground();
      const xml = `<domain type="qemu"><name>contract-user</name><memory unit="MiB">64</memory><vcpu>1</vcpu><os><type arch="x86_64">hvm</type></os><devices><interface type="network"><source network="contract-net"/></interface></devices></domain>`;
      await shell(
        `printf %s '${xml}' >/tmp/user.xml; virsh -q define /tmp/user.xml; rm /tmp/user.xml; virsh -q start contract-user >/dev/null`,
      );
      const error = await failure(networkKind.delete(context(), id, made()));
      expect(error.message).to.contain("the machine contract-user uses the network contract-net");
      expect((await networkKind.read(context(), id, made()))?.outputs.active).to.equal(true);
      await shell("virsh -q destroy contract-user >/dev/null; virsh -q undefine contract-user");
    });

    it("of somebody else is not removed; ours is, and twice without harm", async () => {
      const theirs = context();
      await networkKind.delete(theirs, id, { ...made(), owner: { ...owner, stack: "other" } });
      expect(theirs.warnings.join()).to.contain("is not ours any more; it is left untouched");
      expect(await networkKind.read(context(), id, made())).to.not.equal(undefined);
      await networkKind.delete(context(), id, made());
      await networkKind.delete(context(), id, made());
      expect(await networkKind.read(context(), id, made())).to.equal(undefined);
      expect(await ground().shell("virsh -q net-list --all --name | grep contract || true")).to.equal("");
    });
  });
}
