import { expect } from "chai";
import { domainKind } from "../../provider/domain/domain";
import type { Disk, DomainInputs, DomainOutputs } from "../../provider/domain/schema";
import { SshTransport } from "../../provider/transport/ssh";
import type { Transport } from "../../provider/transport/transport";
import { testContext } from "../support/context";
import { SimulatedHost } from "../support/simulated-host";

describe("a disk that is plugged and pulled", () => {
  let host: SimulatedHost;
  let ssh: SshTransport;
  let inputs: DomainInputs;
  let state: DomainInputs & DomainOutputs;
  let id: string;
  const owner = { project: "p", stack: "s", cluster: "c", environment: "development" } as const;
  const disk = (target: string): Disk => ({
    type: "file",
    path: `/srv/${target}.raw`,
    format: "raw",
    target,
    cache: "none",
    io: "native",
    discard: "unmap",
  });
  const nic = { type: "bridge", bridge: "br0", mac: "52:54:00:00:00:09" } as const;
  const more = (): DomainInputs => ({ ...inputs, disks: [disk("vda"), disk("vdb")], interfaces: [nic] });
  const plugged = async (): Promise<string> =>
    (await host.shell("virsh -q domblklist web-0; virsh dumpxml web-0 | grep -c 'mac address' || true")).stdout.trim();
  /** Goes back to one disk, while the guest's agent says this; what the person is told. */
  const pulled = async (mounts: string, transport: Transport = ssh): Promise<string> => {
    host.write("/libvirt/guest-mounts", mounts);
    const ctx = testContext(transport, "web-0");
    await domainKind.update(ctx, id, { ...state, ...more() }, inputs);
    return ctx.warnings.join();
  };

  before(async () => {
    host = await SimulatedHost.start();
    ssh = new SshTransport({ identityFile: host.identityFile, connectTimeoutSeconds: 5, attempts: 1 });
    for (const target of ["vda", "vdb"]) host.write(`/srv/${target}.raw`, "");
    ({ inputs } = domainKind.check({
      ...{ host: host.endpoint, owner, name: "web-0", type: "qemu", vcpus: 1, vcpuPins: [], emulatorPin: [] },
      ...{ ioThreadPin: [], memoryBytes: 2 ** 27, disks: [disk("vda")], interfaces: [], storage: "/srv" },
    }));
    const made = await domainKind.create(testContext(ssh, "web-0"), inputs);
    ({ id } = made);
    state = { ...inputs, ...made.outputs };
    await domainKind.update(testContext(ssh, "web-0"), id, state, more());
  });
  after(async () => {
    ssh.close();
    await host.stop();
  });

  it("stays while the guest has it mounted, or has a file system of which its agent can't tell the disk", async () => {
    expect(await pulled("/ vda1 ext4 vda\n/data vdb ext4 vdb\n")).to.contain(
      "vdb stays attached until the next start: the guest has it",
    );
    expect(await pulled("/ vda1 ext4 vda\n/my data dm-0 ext4\n")).to.contain(
      "the guest agent does not say of every file system",
    );
    expect(await plugged()).to.contain("/srv/vdb.raw");
  });

  it("comes and goes once, also when the connection breaks at the end and the script runs again", async () => {
    const twice: Transport = Object.assign(Object.create(ssh) as Transport, {
      script: async (...call: Parameters<Transport["script"]>) => {
        await ssh.script(...call);
        return ssh.script(...call);
      },
    });
    const mounts = "/ vda1 ext4 vda\n/snap/core loop0 squashfs \n";
    expect(await pulled(mounts, twice)).to.equal("");
    expect(await plugged()).to.equal("vda /srv/vda.raw\n0");
    const ctx = testContext(twice, "web-0");
    await domainKind.update(ctx, id, state, more());
    expect(await plugged()).to.equal("vda /srv/vda.raw\nvdb /srv/vdb.raw\n1");
    expect(ctx.warnings).to.deep.equal([]);
  });
});
