/**
 * Definitions of others: what our arguments can't hold is named. The fixtures are our own; each stands for the shapes of files of libvirt's
 * tests/qemuxmlconfdata (libvirt 11.3), all 165 of which with cputune, numatune, iothreads or memoryBacking were read by hand the same way:
 *
 * - cpu-time: cputune, cputune-iothreadsched-toomuch, cputune-vcpusched-overlap, cputune-zero-shares, cputune-cpuset-big-id, cputune-numatune
 * - memory: hugepages-nodeset, hugepages-numa-*, hugepages-shared, hugepages-memaccess*, numatune-memnode*, numatune-distances, memorybacking-*,
 *   memory-hotplug-*
 * - default-hugepages: hugepages-default-system-size, numatune-auto-prefer, numatune-auto-nodeset-invalid, numatune-no-vcpu
 * - io-threads: iothreads-disk, iothreads-ids, iothreads-ids-partial, iothreads-ids-pool-sizes, iothreads-virtio-scsi-*, numatune-memnode (pxb)
 * - devices: disk-*, net-*, hostdev-*, firmware-auto-efi-*, tpm-*, metadata
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { XMLSerializer } from "@xmldom/xmldom";
import { expect } from "chai";
import fc from "fast-check";
import { parseDomainXml } from "../../provider/domain/seen";
import { inputsOf, roundTrip } from "../../provider/domain/unmodelled";
import type { RoundTrip, Surroundings } from "../../provider/domain/unmodelled";
import { domainXml } from "../../provider/domain/xml";
import { children, parseXml } from "../../provider/domain/xml-tree";
import { anyDomain } from "../support/any-domain";
import { checkout } from "../support/engine";
import { domainInputs } from "../support/domain-inputs";

const folder = path.join(checkout, "tests/fixtures/domains");
const read = (name: string): string => fs.readFileSync(path.join(folder, `${name}.xml`), "utf8");
const surroundings: Surroundings = domainInputs();
const mark = { project: "p", stack: "s", cluster: "c", environment: "production", urn: "urn:pulumi:s::p::t::n" };

describe("a definition of somebody else, read into our arguments", () => {
  /** What is named, without the reasons of check. */
  const LOST: Readonly<Record<string, readonly string[]>> = {
    "cpu-time": [
      "vcpu@cpuset 2,3,4,5,6,7",
      "vcpu@current 2",
      "cputune/shares 1024",
      "cputune/period 100000",
      "cputune/quota 50000",
      "cputune/emulator_quota 20000",
      "cputune/iothread_quota 20000",
      "cputune/vcpupin[0] cpuset=2",
      "cputune/vcpupin[1] cpuset=3,6",
      "cputune/iothreadpin[1] cpuset=0",
      "cputune/iothreadpin[2] cpuset=1",
      "cputune/vcpusched vcpus=0-1 scheduler=fifo priority=1",
      "cputune/iothreadsched iothreads=1 scheduler=batch",
      "cputune/emulatorsched scheduler=idle",
      "cputune/cachetune vcpus=0-1",
    ],
    memory: [
      "maxMemory 34359738368 slots=8",
      "memoryBacking/hugepages/page@nodeset 0",
      "memoryBacking/hugepages/page[2] size=1073741824 nodeset=1",
      "memoryBacking/nosharepages",
      "memoryBacking/locked",
      "memoryBacking/source type=memfd",
      "memoryBacking/access mode=shared",
      "memoryBacking/allocation mode=immediate threads=2",
      "memoryBacking/discard",
      "numatune/memory mode=interleave nodeset=0,1",
      "numatune/memnode cellid=0 mode=preferred nodeset=1",
      "cpu@mode custom",
      "cpu@match exact",
      "cpu/model Skylake-Server fallback=forbid",
      "cpu/topology sockets=2 cores=2 threads=1",
      "cpu/numa/cell id=0 cpus=0-1 memory=4",
      "cpu/numa/cell[2] id=1 cpus=2-3 memory=4",
      "devices/disk[vda]/driver@queues 2",
      "devices/memory model=dimm",
      "devices/memballoon/stats period=5",
    ],
    "default-hugepages": [
      "memoryBacking/hugepages",
      "vcpu@placement auto",
      "numatune/memory mode=strict placement=auto",
      "os/type@machine pc",
      "os/boot@dev network",
      "on_crash destroy",
    ],
    "io-threads": [
      "iothreadids/iothread[1]",
      "iothreadids/iothread[4] thread_pool_min=4 thread_pool_max=8",
      "iothreadids/iothread[5]",
      "cputune/iothreadpin[4] cpuset=1",
      "devices/disk[vda]/driver@iothread 4",
      "devices/disk[vdb]/driver/iothreads/iothread[1]/queue id=0",
      "devices/disk[vdb]/driver/iothreads/iothread[5]/queue id=1",
      "devices/disk[vdb]/iotune/total_iops_sec 500",
      "devices/controller[scsi] index=0 model=virtio-scsi",
      "devices/controller[pci] index=1 model=pcie-expander-bus",
    ],
    devices: [
      "metadata/lib:os",
      "os/firmware/feature[secure-boot] enabled=yes",
      "os/bootmenu enable=yes",
      "features/smm state=on",
      "clock/timer name=rtc tickpolicy=catchup",
      "devices/disk[vda]/boot order=1",
      "devices/disk[sda] type=file device=cdrom",
      "devices/disk[sdb] type=block device=disk",
      "devices/disk[vdb] type=network device=disk",
      "devices/interface[52:54:00:aa:00:01]/source@portgroup web",
      "devices/interface[52:54:00:aa:00:01]/bandwidth/inbound average=1000",
      "devices/interface[52:54:00:aa:00:01]/mtu size=9000",
      "devices/interface[52:54:00:aa:00:03] type=bridge",
      "devices/interface[52:54:00:aa:00:04] type=user",
      "devices/graphics type=vnc autoport=yes",
      "devices/video/model type=virtio",
      "devices/hostdev mode=subsystem type=pci",
      "devices/tpm model=tpm-crb",
      "devices/watchdog model=itco action=poweroff",
    ],
  };
  for (const file of fs.readdirSync(folder)) {
    const name = path.basename(file, ".xml");
    it(`${name}: names everything that no argument holds`, () => {
      const { lost } = roundTrip(parseDomainXml(read(name)), surroundings);
      expect(lost.filter((line) => !/^\w+(\[\d+\])?(\.\w+)*: /.test(line))).to.deep.equal(LOST[name]);
    });
  }

  it("keeps what arguments hold", () => {
    const seen = inputsOf(parseDomainXml(read("devices")), surroundings);
    expect(seen).to.deep.include({ name: "devices", vcpus: 2, memoryBytes: 2 ** 31, firmware: "efi", ioThreads: 1 });
    expect(seen.disks.map(({ target, serial }) => [target, serial])).to.deep.equal([["vda", "root-1"]]);
    expect(seen.interfaces).to.deep.equal([
      { type: "network", network: "default", mac: "52:54:00:aa:00:01" },
      { type: "direct", device: "eth1", mode: "vepa", mac: "52:54:00:aa:00:02" },
    ]);
  });

  it("names what our own definition would add", () => {
    const { invented } = roundTrip(parseDomainXml(read("devices")), surroundings);
    expect(invented).to.deep.equal([
      "devices/disk[vdz] type=file device=disk",
      "devices/serial type=pty",
      "devices/channel[org.qemu.guest_agent.0] type=unix",
      "devices/rng model=virtio",
    ]);
    // What is not said is read as what QEMU does then, and only what does something else is new.
    const plain = roundTrip(parseDomainXml(read("default-hugepages")), surroundings);
    expect(plain.invented.filter((line) => line.includes("disk[vda]"))).to.deep.equal([
      "devices/disk[vda]/driver name=qemu type=raw cache=writeback io=threads discard=ignore iothread=1",
    ]);
  });

  it("sees every change of every statement, but for what libvirt adds by itself", () => {
    const blind = new Set<string>();
    for (const file of fs.readdirSync(folder)) {
      const view = (text: string): [unknown, RoundTrip] => {
        const seen = parseDomainXml(text);
        return [{ ...inputsOf(seen, surroundings), uuid: seen.uuid }, roundTrip(seen, surroundings)];
      };
      const text = read(path.basename(file, ".xml"));
      const before = JSON.stringify(view(text));
      const named = view(text)[1].lost.map((line) => (line.split(" ")[0] ?? "").replace(/\[[^\]]*\]/g, ""));
      forEachChange(text, (changed, place) => {
        if (JSON.stringify(view(changed)) !== before) return;
        // An element that is named stands for all that is in it.
        const inNamed = named.some((path) => /^[/@]/.test(place.slice(path.length)) && place.startsWith(path));
        if (!inNamed) blind.add(place);
      });
    }
    expect([...blind].sort()).to.deep.equal([
      ...["devices/controller@index", "devices/controller@model", "devices/disk/address@bus"],
      ...["devices/disk/address@domain", "devices/disk/address@function", "devices/disk/address@slot"],
      ...["devices/disk/address@type", "devices/emulator#", "devices/input@type"],
    ]);
  });
});

describe("a definition of ours", () => {
  it("loses and invents nothing, whatever the arguments", () => {
    fc.assert(
      fc.property(anyDomain, (inputs) => {
        const xml = domainXml(inputs, { uuid: "u", mark, seedDigest: "sha256:1" });
        const seen = parseDomainXml(xml);
        expect(roundTrip(seen, inputs)).to.deep.equal({ lost: [], invented: [] });
        expect(inputsOf(seen, inputs)).to.deep.equal(inputs);
      }),
      { numRuns: 60 },
    );
  });
});

/** Every attribute with another value, and every text. */
function forEachChange(text: string, visit: (changed: string, place: string) => void): void {
  const root = parseXml(text);
  const write = (): string => new XMLSerializer().serializeToString(root);
  const other = (value: string): string => (/^\d+$/.test(value) ? String(Number(value) + 8) : `${value}x`);
  for (const element of Array.from(root.getElementsByTagName("*"))) {
    let place = element.nodeName;
    for (let up = element.parentNode; up && up !== root; up = up.parentNode) place = `${up.nodeName}/${place}`;
    for (const attribute of Array.from(element.attributes)) {
      // No other unit is one.
      if (attribute.name.startsWith("xmlns") || attribute.name === "unit") continue;
      const { value } = attribute;
      attribute.value = other(value);
      visit(write(), `${place}@${attribute.name}`);
      attribute.value = value;
    }
    const words = element.textContent ?? "";
    if (children(element).length > 0 || words.trim() === "") continue;
    element.textContent = other(words);
    visit(write(), `${place}#`);
    element.textContent = words;
  }
}
