/** The domain examples of terraform-provider-libvirt in our arguments, as docs/from-terraform-libvirt.md lists them. */
import * as fs from "node:fs";
import * as path from "node:path";
import { expect } from "chai";
import { domainXml } from "../../provider/domain/xml";
import type { DiskArgs, DomainArgs, InterfaceArgs } from "../../provider/sdk";
import { domainInputs } from "../support/domain-inputs";
import { checkout } from "../support/engine";

const MIB = 2 ** 20;
const storage = "/var/lib/libvirt/images";
const mac = "52:54:00:b2:2f:86";
const onDefault: InterfaceArgs = { type: "network", network: "default", mac };
const qcow2 = (name: string): DiskArgs => ({
  type: "file",
  path: `${storage}/${name}.qcow2`,
  format: "qcow2",
  target: "vda",
});

/** Floating vCPUs, as all of these have; one virtio disk; nothing else. */
function machine(name: string, change: Partial<DomainArgs>): Omit<DomainArgs, "host" | "owner"> {
  return {
    name,
    type: "kvm",
    vcpus: 1,
    vcpuPins: [],
    emulatorPin: [],
    ioThreadPin: [],
    memoryBytes: 512 * MIB,
    disks: [qcow2(name)],
    interfaces: [onDefault],
    cloudInit: { userData: "#cloud-config\n", metaData: `instance-id: ${name}-001\n`, networkConfig: "version: 2\n" },
    storage,
    ...change,
  };
}

/** By the name in the document: the machine, and what its definition must say. */
const EXAMPLES: Readonly<Record<string, readonly [Omit<DomainArgs, "host" | "owner">, readonly string[]]>> = {
  alpine_cloudinit: [
    machine("alpine-vm", {
      memoryBytes: 1024 * MIB,
      cloudInit: {
        userData: "#cloud-config\nchpasswd:\n  list: |\n    root:password\n  expire: false\nssh_pwauth: true\n",
        metaData: "instance-id: alpine-001\nlocal-hostname: alpine-vm\n",
        networkConfig: "version: 2\nethernets:\n  eth0:\n    dhcp4: true\n",
      },
    }),
    ['<memory unit="KiB">1048576<', '<source network="default"/>', "alpine-vm-seed.iso", 'type="qcow2"'],
  ],
  two_vms_with_cloudinit: [
    machine("ubuntu-vm1", { memoryBytes: 1024 * MIB }),
    ['<vcpu placement="static">1</vcpu>', "ubuntu-vm1.qcow2"],
  ],
  domain_with_autostart: [machine("example-with-autostart", { autostart: true }), ["<name>example-with-autostart<"]],
  domain_with_network: [
    machine("example-vm", {
      vcpus: 2,
      memoryBytes: 2048 * MIB,
      interfaces: [
        onDefault,
        { type: "network", network: "custom-network", mac: "52:54:00:b2:2f:87" },
        { type: "bridge", bridge: "br0", mac: "52:54:00:b2:2f:88" },
      ],
    }),
    ['<source network="custom-network"/>', '<source bridge="br0"/>'],
  ],
  "libvirt_domain.example": [
    machine("example-vm", { vcpus: 2, memoryBytes: 2048 * MIB }),
    ['<boot dev="hd"/>', '<target dev="vda" bus="virtio"/>'],
  ],
  "libvirt_domain.uefi_example": [
    machine("uefi-vm", { vcpus: 4, memoryBytes: 4096 * MIB, firmware: "efi" }),
    ['<os firmware="efi">'],
  ],
  "v0.13/boot": [
    machine("debian9", { memoryBytes: 1024 * MIB, interfaces: [{ type: "bridge", bridge: "br0", mac }] }),
    [`<mac address="${mac}"/>`, '<source bridge="br0"/>'],
  ],
  "v0.13/count": [machine("domain-3", {}), ["<name>domain-3<"]],
  "v0.13/format": [
    machine("domain-debian8-raw", {
      memoryBytes: 256 * MIB,
      disks: [{ ...qcow2("vol-debian8-raw"), path: `${storage}/vol-debian8-raw.img`, format: "raw" }],
      interfaces: [{ type: "network", network: "tf", mac }],
    }),
    ['type="raw"', '<source network="tf"/>'],
  ],
  "v0.13/multiple": [machine("remotehost", { vcpus: 2, memoryBytes: 2048 * MIB }), ["<name>remotehost<"]],
  "v0.13/resize_base": [machine("doman_ubuntu_resized", {}), ['<serial type="pty">']],
  "v0.13/uefi": [machine("ubuntu-cloud-0", { firmware: "efi" }), ['<os firmware="efi">']],
  "v0.13/ubuntu": [machine("ubuntu-terraform", {}), ["ubuntu-terraform-seed.iso"]],
  "v0.13/tumbleweed": [machine("tumbleweed-terraform", {}), ["tumbleweed-terraform-seed.iso"]],
};

describe("the domain examples of terraform-provider-libvirt", () => {
  const mark = { project: "p", stack: "s", cluster: "c", environment: "development", urn: "u" };
  for (const [name, [args, said]] of Object.entries(EXAMPLES)) {
    it(`${name}: expressed`, () => {
      const xml = domainXml(domainInputs(args), { uuid: "u", mark, seedDigest: "" });
      for (const words of said) expect(xml).to.contain(words);
    });
  }

  it("stand in the document, each as expressed or with the reason why not", () => {
    const text = fs.readFileSync(path.join(checkout, "docs/from-terraform-libvirt.md"), "utf8");
    const rows = [...text.matchAll(/^\| `([^`]+)` \| (yes|in part|no) \| (.+) \|$/gm)];
    const expressed = rows.filter(([, , how]) => how !== "no").map(([, name]) => name);
    expect(expressed).to.have.members(Object.keys(EXAMPLES));
    for (const [, name, , reason] of rows) expect(reason?.length, name).to.be.above(10);
  });
});
