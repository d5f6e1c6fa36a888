/**
 * What a host must do, simulated or real: the same test body runs on both, so that the simulated one stays honest.
 * The real one is named by KVMESH_LAB_HOST=address,port,user,hostKey,identityFile.
 */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { expect } from "chai";
import { coreLeaseKind } from "../../provider/corelease/corelease";
import { adopt, planAdoption } from "../../provider/domain/adopt";
import { domainKind } from "../../provider/domain/domain";
import type { DomainInputs, DomainOutputs } from "../../provider/domain/schema";
import { inspectHost, inspectThreads } from "../../provider/evidence/host";
import { describe as inWords } from "../../provider/evidence/judge";
import { judgeHost, judgeWaiting } from "../../provider/evidence/judge-host";
import { evidenceKind } from "../../provider/evidence/kind";
import type { EvidenceInputs, Value } from "../../provider/evidence/schema";
import { domainXml } from "../../provider/domain/xml";
import { imageKind } from "../../provider/image/image";
import { markOf } from "../../provider/libvirt/mark";
import { without } from "../../provider/core/values";
import { SshTransport } from "../../provider/transport/ssh";
import type { Endpoint } from "../../provider/transport/transport";
import { volumeKind } from "../../provider/volume/volume";
import { probeHost } from "../../tools/facts";
import { testContext } from "./context";
import type { TestContext } from "./context";
import { failure } from "./failure";
import { imageContract } from "./image-contract";
import { networkContract } from "./network-contract";
import { storageContract } from "./storage-contract";
import { tenancyContract } from "./tenancy-contract";

export interface ContractHost {
  readonly endpoint: Endpoint;
  readonly identityFile: string;
  /** Changes the affinity of a running machine's first vCPU behind libvirt's back, as `taskset` does. */
  readonly setAffinity: (pid: number, thread: number, cpus: string) => string;
  /** Shell text that ends the SSH connection in which it runs, the first time that it runs. */
  readonly dropOnce: () => string;
  stop(): Promise<void>;
}

const MIB = 1024 * 1024;
const owner = { project: "contract", stack: "test", cluster: "test", environment: "development" } as const;
const storage = "/var/lib/kvmesh-contract";
/** Stands where a person's words may stand: in the resource's name and in cloud-init's data. Executed, it leaves a trace. */
const hostile = `'"; touch /tmp/kvmesh-was-executed; $(touch /tmp/kvmesh-was-executed) <&amp;> ]]> \\ é\u2028\n\t`;

export function hostContract(title: string, start: () => Promise<ContractHost>): void {
  describe(title, () => {
    let host: ContractHost;
    let transport: SshTransport;
    let image: string;
    let inputs: DomainInputs;
    let made: DomainInputs & DomainOutputs;
    let id: string;
    const shell = async (script: string): Promise<string> => {
      const result = await transport.script(host.endpoint, script);
      expect(result.code, result.stderr).to.equal(0);
      return result.stdout.trim();
    };

    before(async () => {
      host = await start();
      transport = new SshTransport({ identityFile: host.identityFile, connectTimeoutSeconds: 10, attempts: 2 });
      image = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-contract-")), "empty.raw");
      // Data, a hole of 3 MiB, data.
      fs.writeFileSync(image, Buffer.alloc(MIB, "kvmesh"));
      fs.truncateSync(image, 4 * MIB);
      fs.appendFileSync(image, Buffer.alloc(4096, "end"));
      inputs = domainKind.check({
        host: host.endpoint,
        owner,
        name: "contract-0",
        type: "qemu",
        vcpus: 1,
        vcpuPins: [1],
        emulatorPin: [0],
        ioThreadPin: [0],
        memoryBytes: 128 * MIB,
        disks: [{ type: "file", path: `${storage}/contract-0.qcow2`, format: "qcow2", target: "vda" }],
        interfaces: [],
        cloudInit: {
          userData: `#cloud-config\n# ${hostile}`,
          metaData: "instance-id: contract-0\n",
          networkConfig: "version: 2\n",
        },
        storage,
        autostart: false,
      }).inputs;
    });
    after(async () => {
      transport.close();
      fs.rmSync(path.dirname(image), { recursive: true, force: true });
      await host.stop();
    });

    it("runs scripts with their input, output and exit code, and nothing of them in the list of processes", async () => {
      const script = `cat; printf '%s' "$(ps -ww -eo args 2>/dev/null | grep -c [n]ever-in-arguments || true)" >&2; exit 7 # never-in-arguments`;
      const result = await transport.script(host.endpoint, script, { stdin: "a 'quoted' $line\n" });
      expect(result).to.deep.equal({ code: 7, stdout: "a 'quoted' $line\n", stderr: "0" });
    });

    it("goes on after the connection was ended in the middle of a script, and says that it tries again", async () => {
      const said: string[] = [];
      const progress = (message: string): void => void said.push(message);
      const script = `${host.dropOnce()}\necho done`;
      const result = await transport.script(host.endpoint, script, { idempotent: true, progress });
      expect(result).to.deep.include({ code: 0, stdout: "done\n" });
      expect(said.join()).to.match(/connection broke while a command ran; attempt 2 of 2 in 1 s/);
    });

    it("runs many scripts side by side over one connection, and no session is refused", async () => {
      const once = new SshTransport({ identityFile: host.identityFile, connectTimeoutSeconds: 10, attempts: 1 });
      try {
        const all = Array.from({ length: 60 }, (_, i) => once.script(host.endpoint, `echo ${i}`));
        expect((await Promise.all(all)).map(({ stdout }) => Number(stdout))).to.deep.equal(all.map((_, i) => i));
      } finally {
        once.close();
      }
    });

    it("ends a command that takes too long, with all its children", async () => {
      const error = await failure(transport.script(host.endpoint, "sleep 321.5 & wait", { timeoutMs: 1000 }));
      expect(error.message).to.contain("not done after 1 s");
      expect(await shell("ps -eo args | grep -c '[s]leep 321.5' || true")).to.equal("0");
    });

    it("writes files with their mode, and keeps holes in uploads", async () => {
      await shell(`mkdir -p ${storage}`);
      await transport.writeFile(host.endpoint, `${storage}/note`, "words\n", 0o640);
      expect(await shell(`cat ${storage}/note; stat -c %a ${storage}/note`)).to.equal("words\n640");
      await transport.upload(host.endpoint, image, `${storage}/upload`);
      expect(await shell(`sha256sum ${storage}/upload | cut -d' ' -f1`)).to.equal(sha256(image));
      const [size, blocks] = (await shell(`stat -c '%s %b' ${storage}/upload`)).split(" ").map(Number);
      expect(size).to.equal(4 * MIB + 4096);
      expect((blocks ?? 0) * 512).to.be.below(3 * MIB);
      await shell(`rm ${storage}/note ${storage}/upload; rmdir ${storage}`);
    });

    it("takes an image by digest, and a disk over it that grows", async () => {
      const { inputs: imageInputs } = imageKind.check({
        host: host.endpoint,
        owner,
        name: "empty.raw",
        storage,
        file: image,
        digest: `sha256:${sha256(image)}`,
        format: "raw",
      });
      const ctx = testContext(transport, "image");
      const { id: imageId, outputs } = await imageKind.create(ctx, imageInputs);
      expect(outputs.virtualSizeBytes).to.equal(4 * MIB + 4096);
      expect(await imageKind.read(ctx, imageId, { ...imageInputs, ...outputs })).to.deep.equal({
        inputs: imageInputs,
        outputs,
      });
      expect(await shell(`virsh -q pool-info kvmesh-contract | sed -n 's/^State: *//p'`)).to.equal("running");

      const volume = volumeKind.check({
        host: host.endpoint,
        owner,
        name: "contract-0.qcow2",
        storage,
        capacityBytes: 64 * MIB,
        format: "qcow2",
        base: outputs.path,
        baseFormat: "raw",
      }).inputs;
      const disk = testContext(transport, "disk");
      const { id: diskId, outputs: diskOutputs } = await volumeKind.create(disk, volume);
      expect(await volumeKind.read(disk, diskId, { ...volume, ...diskOutputs })).to.deep.equal({
        inputs: volume,
        outputs: diskOutputs,
      });
      const grown = { ...volume, capacityBytes: 128 * MIB };
      await volumeKind.update(disk, diskId, { ...volume, ...diskOutputs }, grown);
      const seen = await volumeKind.read(disk, diskId, { ...grown, ...diskOutputs });
      expect(seen?.inputs.capacityBytes).to.equal(128 * MIB);

      const importing = importContext(transport, host.endpoint);
      const importedDisk = await volumeKind.read(importing, `there:${diskId}`, undefined);
      expect(importedDisk).to.deep.equal({ id: diskId, inputs: grown, outputs: diskOutputs });
      const importedImage = await imageKind.read(importing, `there:${imageId}`, undefined);
      const imageWithoutSource = without(imageInputs, "file");
      expect(importedImage).to.deep.equal({ id: imageId, inputs: imageWithoutSource, outputs });
      expect(imageKind.diff({ ...imageWithoutSource, ...outputs }, imageInputs)).to.deep.equal([]);
      expect(importing.warnings).to.deep.equal([]);

      const inUse = await failure(imageKind.delete(ctx, imageId, { ...imageInputs, ...outputs }));
      expect(inUse.message).to.contain("still the base of");
    });

    it("refuses to start a machine whose core is not leased to it", async () => {
      const error = await failure(domainKind.create(testContext(transport, `machine ${hostile}`), inputs));
      expect(error.message).to.contain("CPU 1 is not leased to this machine but to nobody");
      expect(await shell("virsh -q list --all --name | grep -x contract-0 || true")).to.equal("");
    });

    it("gives a core to one holder only, and says who has it", async () => {
      const lease = { host: host.endpoint, owner, machine: "contract-0", cpus: [1] };
      await coreLeaseKind.create(testContext(transport), lease);
      await coreLeaseKind.create(testContext(transport), lease);
      const other = { ...lease, owner: { ...owner, stack: "other" }, cpus: [0, 1] };
      const error = await failure(coreLeaseKind.create(testContext(transport), other));
      expect(error.message).to.match(/CPU 1 by contract\/test\/contract-0 since \d{4}-\d\d-\d\dT/);
      expect(error.message).to.contain("None was taken");
      expect((await coreLeaseKind.read(testContext(transport), "x", other)) ?? "none").to.equal("none");
      expect((await coreLeaseKind.read(testContext(transport), "x", lease))?.inputs.cpus).to.deep.equal([1]);
    });

    it("leaves a machine of the same name that is not ours untouched", async () => {
      const xml = `<domain type="qemu"><name>contract-0</name><memory unit="MiB">64</memory><vcpu>1</vcpu><os><type arch="x86_64">hvm</type></os><devices/></domain>`;
      await shell(`printf %s '${xml}' >/tmp/foreign.xml; virsh -q define /tmp/foreign.xml; rm /tmp/foreign.xml`);
      const before = await shell("virsh dumpxml --inactive contract-0");
      const error = await failure(domainKind.create(testContext(transport, `machine ${hostile}`), inputs));
      expect(error.message).to.contain("was not made by kvmesh; it is left untouched");
      expect(await shell("virsh dumpxml --inactive contract-0")).to.equal(before);
      await shell("virsh -q undefine contract-0");
    });

    it("leases no core of a host that is not what its facts say, and names the numbers, the file and the remedy", async () => {
      const cpus = Number(
        await shell("getconf _NPROCESSORS_ONLN; ls -d /sys/devices/system/cpu/cpu[0-9]* | wc -l").then((text) =>
          text.split("\n").at(-1),
        ),
      );
      const lease = {
        host: host.endpoint,
        owner,
        machine: "contract-1",
        cpus: [0],
        facts: { file: "facts/a.json", cpus },
      };
      const other = { ...lease, facts: { ...lease.facts, cpus: cpus + 2 } };
      const error = await failure(coreLeaseKind.create(testContext(transport), other));
      expect(error.message).to.contain(
        `this host has ${cpus} CPUs online, and its facts file facts/a.json says ${cpus + 2}: write it anew with \`npm run facts\``,
      );
      expect((await coreLeaseKind.read(testContext(transport), "x", other)) ?? "none").to.equal("none");
    });

    it("starts no machine that the host has not the memory or the hugepages for, and leaves nothing of it", async () => {
      const refused = async (change: Partial<DomainInputs>): Promise<string> =>
        (await failure(domainKind.create(testContext(transport, "machine"), { ...inputs, ...change }))).message;
      const GIB = 1024 * MIB;
      expect(await refused({ memoryBytes: 4096 * GIB })).to.match(
        /needs 4194304 MiB, and \d+ MiB are available on the host:/,
      );
      expect(await refused({ memoryBytes: 4096 * GIB, numaNode: 0 })).to.match(
        /and \d+ MiB are available on the host's NUMA node 0:/,
      );
      expect(await refused({ memoryBytes: 4096 * GIB, hugepageBytes: 2 * MIB, numaNode: 0 })).to.match(
        /needs 2097152 hugepages of 2048 KiB, and \d+ of \d+ are free on the host's NUMA node 0:/,
      );
      expect(await refused({ numaNode: 77 })).to.contain("this host has no NUMA node 77: probe it again");
      expect(await shell("virsh -q list --all --name | grep -x contract-0 || true")).to.equal("");
      expect(await shell(`ls ${storage} | grep seed || true`)).to.equal("");
    });

    it("is probed, with the machines of others on it and without ours", async () => {
      const uuid = "0c6ef48b-5b3c-4a5e-9f0a-2f3a4b5c6d7e";
      const xml = `<domain type="qemu"><name>others</name><uuid>${uuid}</uuid><description>\n@@ hostname\nx</description><memory unit="MiB">64</memory><vcpu>2</vcpu><cputune><vcpupin vcpu="0" cpuset="1"/></cputune><os><type arch="x86_64">hvm</type></os><devices/></domain>`;
      await shell(`printf %s '${xml}' >/tmp/others.xml; virsh -q define /tmp/others.xml; rm /tmp/others.xml`);
      const facts = await probeHost(host.endpoint, storage, transport);
      await shell("virsh -q undefine others");
      expect(facts.foreign).to.deep.equal([
        { name: "others", uuid, vcpus: 2, cpus: [1], floating: 1, memoryBytes: 64 * MIB, nodes: [] },
      ]);
      expect(facts.hostname).not.to.equal("x");
      expect(facts.cpus.map(({ cpu }) => cpu)).to.include.members([0, 1]);
      expect(facts.availableMemory).to.be.greaterThan(128 * MIB);
      expect(facts.storage.path).to.equal(storage);
      expect(facts.storage.availableBytes).to.be.greaterThan(MIB);
    });

    it("adopts a machine that is not ours only when it is told to drop what can't be described", async () => {
      const disk = `${storage}/foreign.qcow2`;
      const foreign = (cpu: number): string =>
        domainXml(
          {
            ...inputs,
            ...{ name: "foreign-0", vcpuPins: [cpu], emulatorPin: [], ioThreadPin: [] },
            ...{ disks: [{ ...inputs.disks[0]!, path: disk }], cloudInit: undefined },
          },
          { uuid: "6d3f3f1e-0d6c-4a0b-8d52-3c1c5d1f0a01", mark: markOf(owner, ""), seedDigest: undefined },
        ).replace(/<metadata>.*<\/metadata>/s, "");
      const vnc = foreign(1).replace("</devices>", '<graphics type="vnc" port="-1"/></devices>');
      const define = (xml: string): Promise<string> =>
        shell(`printf %s '${xml}' >/tmp/foreign.xml; virsh -q define /tmp/foreign.xml >/dev/null; rm /tmp/foreign.xml`);
      const ctx = importContext(transport, host.endpoint);
      await shell(`qemu-img create -q -f qcow2 ${disk} 1048576`);
      await define(vnc);
      const plan = await planAdoption(ctx, host.endpoint, "foreign-0", owner);
      expect(plan.unmodelled.join()).to.contain("devices/graphics");
      expect(plan).to.deep.include({ marked: false, running: false, cpus: [1] });
      expect(plan.disks.map(({ path: at }) => at)).to.deep.equal([disk]);
      const held = await failure(adopt(ctx, plan));
      expect(held.message).to.contain("CPU 1 by contract/test/contract-0");

      await define(foreign(0));
      const changed = await failure(adopt(ctx, { ...plan, cpus: [0] }));
      expect(changed.message).to.contain("the machine was changed meanwhile");
      const exact = await planAdoption(ctx, host.endpoint, "foreign-0", owner);
      expect(exact.unmodelled).to.deep.equal([]);
      const before = await domainKind.read(ctx, "there:foreign-0", undefined);
      expect(ctx.warnings.join()).to.contain("has no mark of kvmesh");
      const untouched = await failure(
        domainKind.update(ctx, before!.id!, { ...before!.inputs, ...before!.outputs }, before!.inputs),
      );
      expect(untouched.message).to.contain("has no mark of kvmesh: adopt it first");

      await adopt(ctx, exact);
      await adopt(ctx, exact).catch(() => undefined);
      ctx.warnings.length = 0;
      const adopted = await domainKind.read(ctx, "there:foreign-0", undefined);
      expect(adopted).to.deep.equal(before);
      expect(ctx.warnings).to.deep.equal([]);
      expect(await domainKind.read(ctx, before!.id!, { ...before!.inputs, ...before!.outputs })).to.deep.equal({
        inputs: before!.inputs,
        outputs: before!.outputs,
      });
      const again = await planAdoption(ctx, host.endpoint, "foreign-0", owner);
      expect(again).to.deep.include({ marked: true, disks: [] });
      const other = await failure(planAdoption(ctx, host.endpoint, "foreign-0", { ...owner, stack: "other" }));
      expect(other.message).to.contain("belongs to stack contract/test");
      const volume = await volumeKind.read(ctx, `there:${disk}`, undefined);
      await domainKind.delete(ctx, before!.id!, { ...before!.inputs, ...before!.outputs });
      await volumeKind.delete(ctx, disk, { ...volume!.inputs, ...volume!.outputs, onDestroy: "remove" });
      await coreLeaseKind.delete(ctx, "foreign-0", { host: host.endpoint, owner, machine: "foreign-0", cpus: [0] });
      expect(
        await shell(`virsh -q list --all --name | grep -x foreign-0 || true; ls ${disk}* 2>/dev/null || true`),
      ).to.equal("");
    });

    it("starts a machine that reads back exactly as declared", async () => {
      const ctx = testContext(transport, `machine ${hostile}`);
      const result = await domainKind.create(ctx, inputs);
      id = result.id;
      made = { ...inputs, ...result.outputs };
      const seen = await domainKind.read(ctx, id, made);
      expect(seen).to.deep.equal({ inputs, outputs: result.outputs });
      expect(ctx.warnings).to.deep.equal([]);
      expect(domainKind.diff({ ...made }, inputs)).to.deep.equal([]);
      expect((await probeHost(host.endpoint, storage, transport)).foreign).to.deep.equal([]);
    });

    it("imports it as it was declared, secrets of its seed included, and finds nothing that it can't hold", async () => {
      const ctx = importContext(transport, host.endpoint);
      const imported = await domainKind.read(ctx, "there:contract-0", undefined);
      expect(imported).to.deep.equal({
        id,
        inputs,
        outputs: { uuid: id, running: true, unmodelled: [] },
        secretInputs: ["cloudInit"],
      });
      expect((await domainKind.read(ctx, `there:${id}`, undefined))?.inputs).to.deep.equal(inputs);
      expect(ctx.warnings).to.deep.equal([]);
      expect((await coreLeaseKind.read(ctx, "there:contract-0", undefined))?.inputs).to.deep.equal({
        ...{ host: host.endpoint, owner, machine: "contract-0", cpus: [1] },
      });
      expect(await domainKind.read(ctx, "there:nobody", undefined)).to.equal(undefined);
    });

    it("is taken over, not made twice, when create is run again", async () => {
      const again = await domainKind.create(testContext(transport, `machine ${hostile}`), inputs);
      expect(again.id).to.equal(id);
      const renamed = await failure(domainKind.create(testContext(transport, "another-name"), inputs));
      expect(renamed.message).to.contain("give it an alias");
    });

    it("sees pins changed in libvirt and behind its back, and repairs both", async () => {
      const ctx = testContext(transport, `machine ${hostile}`);
      await shell("virsh -q vcpupin contract-0 0 0 --live >/dev/null");
      expect((await domainKind.read(ctx, id, made))?.inputs.vcpuPins).to.deep.equal([0]);
      await domainKind.update(ctx, id, { ...made, vcpuPins: [0] }, inputs);
      expect((await domainKind.read(ctx, id, made))?.inputs.vcpuPins).to.deep.equal([1]);

      const pid = Number(await shell("cat /run/libvirt/qemu/contract-0.pid"));
      const thread = Number(
        await shell(`grep -l '^CPU 0/' /proc/${pid}/task/*/comm | head -n 1 | sed 's:.*/task/::; s:/comm::'`),
      );
      await shell(host.setAffinity(pid, thread, "0-1"));
      const seen = await domainKind.read(ctx, id, made);
      expect(seen?.inputs.vcpuPins).to.deep.equal(["0-1"]);
      await domainKind.update(ctx, id, { ...made, ...seen?.inputs }, inputs);
      expect((await domainKind.read(ctx, id, made))?.inputs).to.deep.equal(inputs);
    });

    /** What the evidence says of the running machine, by id. */
    const measured = async (): Promise<ReadonlyMap<string, Value>> => {
      const evidence = evidenceInputs(host.endpoint);
      const seen = await inspectHost(testContext(transport), host.endpoint, "contract-0");
      expect(seen, "the machine runs").to.not.equal(undefined);
      return new Map(judgeHost(evidence, evidence.domain!, seen!).map((value) => [value.id, value]));
    };
    const failing = (values: ReadonlyMap<string, Value>): string[] =>
      [...values.values()].filter(({ verdict }) => verdict === "fail").map(inWords);

    it("proves that a machine is alone on its CPU, as it is declared, and that nothing limits it", async () => {
      const values = await measured();
      expect(failing(values)).to.deep.equal([]);
      expect(values.get("vcpu-pins")).to.deep.include({ measured: "0→1", limit: "0→1", verdict: "pass" });
      expect(values.get("vcpu-affinity")).to.deep.include({ measured: "0→1", limit: "0→1", verdict: "pass" });
      expect(values.get("exclusive")).to.deep.include({ measured: "none", verdict: "pass" });
      expect(values.get("emulator-affinity")).to.deep.include({ measured: "0", verdict: "pass" });
      expect(values.get("iothread-affinity")).to.deep.include({ measured: "0", verdict: "pass" });
      expect(values.get("lease")).to.deep.include({ measured: "CPU 1 by contract/test/contract-0", verdict: "pass" });
      expect(values.get("cpu-quota")).to.deep.include({ measured: "none", verdict: "pass" });

      const before = await inspectThreads(testContext(transport), host.endpoint, "contract-0");
      const after = await inspectThreads(testContext(transport), host.endpoint, "contract-0");
      expect(after.time).to.be.greaterThan(before.time);
      const [waiting] = judgeWaiting(evidenceInputs(host.endpoint), before, after);
      expect(waiting?.measured).to.be.within(0, 100);
    });

    it("sees a float, another machine on the CPU and a lease that is another's, and names them", async () => {
      const pid = Number(await shell("cat /run/libvirt/qemu/contract-0.pid"));
      const thread = Number(
        await shell(`grep -l '^CPU 0/' /proc/${pid}/task/*/comm | head -n 1 | sed 's:.*/task/::; s:/comm::'`),
      );
      await shell(host.setAffinity(pid, thread, "0-1"));
      const xml = `<domain type="qemu"><name>contract-foreign</name><memory unit="MiB">64</memory><vcpu>1</vcpu><os><type arch="x86_64">hvm</type></os><devices/></domain>`;
      await shell(`printf %s '${xml}' >/tmp/foreign.xml; virsh -q define /tmp/foreign.xml; rm /tmp/foreign.xml`);
      await shell("virsh -q start contract-foreign");
      await shell("sed -i s/contract-0/other-9/ /var/lib/kvmesh/leases/cpu-1");
      try {
        const faults = failing(await measured());
        expect(faults).to.include("vCPU → CPU, in the kernel: 0→0-1; required: 0→1");
        expect(faults.find((text) => text.startsWith("other machines"))).to.match(
          /contract-foreign \(CPU 0\/TCG\) on CPU 1/,
        );
        expect(faults).to.include(
          "leases on the host: CPU 1 by contract/test/other-9; required: CPU 1 by contract/test/contract-0",
        );
        const known = { ...evidenceInputs(host.endpoint), ...({ contradictions: [] } as object) };
        const ctx = testContext(transport);
        const seen = await evidenceKind.read(ctx, "contract-0", known as never);
        expect(seen?.outputs.contradictions).to.have.length(faults.length);
        expect(ctx.warnings[0]).to.match(
          /^machine contract-0: its evidence no longer holds: vCPU → CPU, in the kernel/,
        );
      } finally {
        await shell("virsh -q destroy contract-foreign; virsh -q undefine contract-foreign");
        await shell("sed -i s/other-9/contract-0/ /var/lib/kvmesh/leases/cpu-1");
        await shell(host.setAffinity(pid, thread, "1"));
      }
      expect(failing(await measured())).to.deep.equal([]);
    });

    it("defines more memory for the next start and says so", async () => {
      const ctx = testContext(transport, `machine ${hostile}`);
      const more = { ...inputs, memoryBytes: 160 * MIB };
      expect(domainKind.diff(made, more)[0]).to.include({ property: "memoryBytes", effect: "reboot" });
      await domainKind.update(ctx, id, made, more);
      expect(ctx.warnings.join()).to.contain(
        "memoryBytes: takes effect when the machine is shut down and started again",
      );
      const seen = await domainKind.read(ctx, id, { ...made, ...more });
      expect(seen).to.deep.equal({ inputs: more, outputs: { uuid: id, running: true, unmodelled: [] } });
      await domainKind.update(ctx, id, { ...made, ...more }, inputs);
    });

    it("names what somebody else wrote into the definition, and writes it anew", async () => {
      const ctx = testContext(transport, `machine ${hostile}`);
      await shell(`virsh dumpxml --inactive contract-0 | sed 's:<cputune>:<cputune><quota>50000</quota>:' >/tmp/quota.xml
virsh -q define /tmp/quota.xml >/dev/null; rm /tmp/quota.xml`);
      const seen = await domainKind.read(ctx, id, made);
      expect(seen?.inputs).to.deep.equal(inputs);
      expect(seen?.outputs.unmodelled).to.deep.equal(["cputune/quota 50000"]);
      expect(domainKind.diff({ ...made, ...seen?.outputs }, inputs)[0]).to.include({
        property: "unmodelled",
        effect: "reboot",
      });
      await domainKind.update(ctx, id, { ...made, ...seen?.outputs }, inputs);
      expect((await domainKind.read(ctx, id, made))?.outputs.unmodelled).to.deep.equal([]);
    });

    it("plugs a disk into the running machine, names another that somebody else plugged in, and pulls none that may be in use", async () => {
      const ctx = testContext(transport, `machine ${hostile}`);
      await shell(
        `qemu-img create -q -f raw ${storage}/data.raw 1048576; qemu-img create -q -f raw ${storage}/other.raw 1048576`,
      );
      const data = { type: "file", path: `${storage}/data.raw`, format: "raw", target: "vdb", serial: "data-1" };
      const more = domainKind.check({ ...inputs, disks: [...inputs.disks, data] }).inputs;
      expect(domainKind.diff(made, more)[0]).to.include({ property: "disks[1]", effect: "live" });
      await domainKind.update(ctx, id, made, more);
      expect(await domainKind.read(ctx, id, { ...made, ...more })).to.deep.equal({
        inputs: more,
        outputs: { uuid: id, running: true, unmodelled: [] },
      });
      expect(await shell("virsh dumpxml contract-0 | grep -c data-1")).to.equal("1");
      expect(ctx.warnings).to.deep.equal([]);

      const other = `<disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="${storage}/other.raw"/><target dev="vdc" bus="virtio"/></disk>`;
      await shell(
        `printf %s '${other}' >/tmp/other.xml; virsh -q attach-device contract-0 /tmp/other.xml --live >/dev/null; rm /tmp/other.xml`,
      );
      const seen = await domainKind.read(ctx, id, { ...made, ...more });
      expect(seen?.inputs.disks.map((disk) => disk.target)).to.deep.equal(["vda", "vdb", "vdc"]);
      await domainKind.update(ctx, id, { ...made, ...seen?.inputs }, inputs);
      expect(ctx.warnings.filter((line) => line.includes("the guest agent does not say"))).to.have.length(2);
      expect(await shell("virsh domblklist contract-0 | grep -cE 'data.raw|other.raw'")).to.equal("2");

      await shell("virsh -q destroy contract-0 >/dev/null");
      await domainKind.update(ctx, id, { ...made, running: false }, inputs);
      expect((await domainKind.read(ctx, id, made))?.inputs).to.deep.equal(inputs);
      await shell(`rm ${storage}/data.raw ${storage}/other.raw`);
    });

    it("restarts a machine for what it can only get at a start, when it is told to", async () => {
      const ctx = testContext(transport, "machine");
      const more = { ...inputs, memoryBytes: 160 * MIB, restart: { when: "needed" } as const };
      await domainKind.update(ctx, id, { ...made, restart: more.restart }, more);
      expect(ctx.warnings).to.deep.equal([]);
      expect(await shell("virsh dumpxml contract-0 | grep -c '<memory unit=.KiB.>163840<' || true")).to.equal("1");
      expect((await domainKind.read(ctx, id, { ...made, ...more }))?.inputs).to.deep.equal(more);
      expect(ctx.warnings, "nothing is pending").to.deep.equal([]);
      const pid = await shell("cat /run/libvirt/qemu/contract-0.pid");
      await domainKind.update(ctx, id, { ...made, restart: more.restart }, more);
      expect(await shell("cat /run/libvirt/qemu/contract-0.pid"), "it is not restarted twice").to.equal(pid);
      await domainKind.update(ctx, id, { ...made, ...more }, { ...inputs, restart: more.restart });
      expect((await domainKind.read(ctx, id, made))?.inputs).to.deep.equal(inputs);
    });

    it("starts again what was switched off", async () => {
      const ctx = testContext(transport, `machine ${hostile}`);
      await shell("virsh -q destroy contract-0 >/dev/null");
      const seen = await domainKind.read(ctx, id, made);
      expect(seen?.outputs.running).to.equal(false);
      expect(domainKind.diff({ ...made, running: false }, inputs)[0]).to.include({
        property: "running",
        effect: "live",
      });
      await domainKind.update(ctx, id, { ...made, running: false }, inputs);
      expect((await domainKind.read(ctx, id, made))?.outputs.running).to.equal(true);
    });

    it("releases no core while the machine that it is leased to is there, running or off, and hands it over without a gap", async () => {
      const lease = { host: host.endpoint, owner, machine: "contract-0", cpus: [1] };
      const holder = (): Promise<string> => shell("cut -f1-3 /var/lib/kvmesh/leases/cpu-1");
      const running = await failure(coreLeaseKind.delete(testContext(transport), "contract-0", lease));
      expect(running.message)
        .to.contain("the machine contract-0 of this stack is still on this host (running): its cores stay leased.")
        .and.to.contain("Run `pulumi up`, which takes the machine over")
        .and.to.contain("virsh destroy contract-0; virsh undefine contract-0 --nvram");
      await shell("virsh -q destroy contract-0 >/dev/null");
      const off = await failure(coreLeaseKind.delete(testContext(transport), "contract-0", lease));
      expect(off.message).to.contain("is still on this host (shut off)");
      expect(await holder()).to.equal("contract\ttest\tcontract-0");

      // A machine of another stack is no reason to keep what is ours, and its lease is not ours to take.
      const other = { ...lease, owner: { ...owner, stack: "other" } };
      await coreLeaseKind.delete(testContext(transport), "contract-0", other);
      expect(await holder()).to.equal("contract\ttest\tcontract-0");
      expect(coreLeaseKind.diff(lease, other).map(({ effect }) => effect)).to.deep.equal(["live"]);
      await coreLeaseKind.update(testContext(transport), "contract-0", lease, other);
      expect(await holder()).to.equal("contract\tother\tcontract-0");
      await coreLeaseKind.update(testContext(transport), "contract-0", other, lease);
      expect(await holder()).to.equal("contract\ttest\tcontract-0");
    });

    it("removes everything, and twice without harm", async () => {
      await domainKind.delete(testContext(transport, `machine ${hostile}`), id, made);
      await domainKind.delete(testContext(transport, `machine ${hostile}`), id, made);
      expect(await domainKind.read(testContext(transport, `machine ${hostile}`), id, made)).to.equal(undefined);
      const lease = { host: host.endpoint, owner, machine: "contract-0", cpus: [1] };
      await coreLeaseKind.delete(testContext(transport), "contract-0", lease);
      const disk = {
        host: host.endpoint,
        owner,
        name: "contract-0.qcow2",
        storage,
        capacityBytes: 128 * MIB,
        format: "qcow2",
        onDestroy: "remove",
      } as const;
      const diskPath = `${storage}/contract-0.qcow2`;
      await volumeKind.delete(testContext(transport, "disk"), diskPath, { ...disk, path: diskPath });
      await volumeKind.delete(testContext(transport, "disk"), diskPath, { ...disk, path: diskPath });
      const digest = `sha256:${sha256(image)}`;
      const imagePath = `${storage}/empty-${sha256(image).slice(0, 12)}.raw`;
      const base = {
        host: host.endpoint,
        owner,
        name: "empty.raw",
        storage,
        file: image,
        digest,
        format: "raw",
      } as const;
      await imageKind.delete(testContext(transport, "image"), imagePath, {
        ...base,
        path: imagePath,
        virtualSizeBytes: 0,
      });
      expect(await shell(`ls -d ${storage} /var/lib/kvmesh/leases/cpu-1 2>/dev/null || true`)).to.equal("");
      expect(await shell("virsh -q pool-list --all --name | grep -x kvmesh-contract || true")).to.equal("");
      expect(
        await shell("ls /tmp/kvmesh-was-executed 2>/dev/null || true"),
        "a name or user-data was executed",
      ).to.equal("");
    });

    storageContract(() => ({ endpoint: host.endpoint, transport, shell }));
    imageContract(() => ({ endpoint: host.endpoint, transport, shell }));
    tenancyContract(() => ({ endpoint: host.endpoint, transport, shell }));
    networkContract(() => ({ endpoint: host.endpoint, transport, shell }));
  });
}

/** As the engine asks for an import into the stack "test" of the project "contract", which knows one host. */
function importContext(transport: SshTransport, there: Endpoint): TestContext {
  return {
    ...testContext(transport),
    urn: "urn:pulumi:test::contract::kvmesh:index:Thing::thing",
    importing: { hosts: new Map([["there", there]]), cluster: "test" },
  };
}

/** As a carved machine of one vCPU on CPU 1 declares it. */
function evidenceInputs(endpoint: Endpoint): EvidenceInputs {
  return evidenceKind.check({
    endpoint,
    owner,
    name: "contract-0",
    role: "worker",
    plan: "dedicated",
    vcpus: 1,
    hypervisors: ["qemu"],
    maxStealPercent: 100,
    maxFsyncMs: 10,
    directory: "/var/lib",
    host: endpoint,
    domain: { vcpuPins: [1], emulatorPin: [0], ioThreadPin: [0] },
  }).inputs;
}

function sha256(file: string): string {
  return createHash("sha256").update(fs.readFileSync(file)).digest("hex");
}
