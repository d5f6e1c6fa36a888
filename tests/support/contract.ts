/**
 * What a host must do, simulated or real: the same test body runs on both, so that the simulated one stays honest.
 * The real one is named by KVMESH_LAB_HOST=address,port,user,hostKey,identityFile.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { expect } from "chai";
import { coreLeaseKind } from "../../provider/corelease/corelease";
import { domainKind } from "../../provider/domain/domain";
import { imageKind } from "../../provider/image/image";
import { without } from "../../provider/core/values";
import { SshTransport } from "../../provider/transport/ssh";
import type { Endpoint } from "../../provider/transport/transport";
import { volumeKind } from "../../provider/volume/volume";
import { adoptContract } from "./adopt-contract";
import { testContext } from "./context";
import { hostile, importContext, MIB, owner, sha256, storage, type MachineGround } from "./contract-machine";
import { evidenceContract } from "./evidence-contract";
import { failure } from "./failure";
import { firmwareContract } from "./firmware-contract";
import { imageContract } from "./image-contract";
import { leaseContract, releaseContract } from "./lease-contract";
import { machineContract } from "./machine-contract";
import { networkContract } from "./network-contract";
import { groundOn, storageContract } from "./storage-contract";
import { systemDiskContract } from "./system-disk-contract";
import { tenancyContract } from "./tenancy-contract";
import { transportContract, type TransportGround } from "./transport-contract";

export interface ContractHost
  extends Pick<MachineGround, "setAffinity">, Pick<TransportGround, "dropOnce" | "identityFile"> {
  readonly endpoint: Endpoint;
  stop(): Promise<void>;
}

const NOT_MADE = { uuid: "", running: false, unmodelled: [] } as const;

/** The parts go on where the one before them ended: one machine is made, changed, looked at and removed. */
export function hostContract(title: string, start: () => Promise<ContractHost>): void {
  describe(title, () => {
    let host: ContractHost;
    let transport: SshTransport;
    let image: string;
    let machine: MachineGround & TransportGround;
    const ground = (): MachineGround & TransportGround => machine;
    const shell = (script: string): Promise<string> => machine.shell(script);

    before(async () => {
      host = await start();
      transport = new SshTransport({ identityFile: host.identityFile, connectTimeoutSeconds: 10, attempts: 2 });
      image = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-contract-")), "empty.raw");
      // Data, a hole of 3 MiB, data.
      fs.writeFileSync(image, Buffer.alloc(MIB, "kvmesh"));
      fs.truncateSync(image, 4 * MIB);
      fs.appendFileSync(image, Buffer.alloc(4096, "end"));
      const { inputs } = domainKind.check({
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
      });
      const { endpoint, identityFile, setAffinity, dropOnce } = host;
      machine = {
        ...groundOn(endpoint, transport),
        identityFile,
        setAffinity,
        dropOnce,
        image,
        inputs,
        made: { ...inputs, ...NOT_MADE },
        id: "",
      };
    });
    after(async () => {
      transport.close();
      fs.rmSync(path.dirname(image), { recursive: true, force: true });
      await host.stop();
    });

    transportContract(ground);

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

    leaseContract(ground);
    adoptContract(ground);
    machineContract(ground);
    evidenceContract(ground);
    releaseContract(ground);

    it("removes everything, and twice without harm", async () => {
      const { id, made } = machine;
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

    storageContract(ground);
    systemDiskContract(ground);
    imageContract(ground);
    tenancyContract(ground);
    firmwareContract(ground);
    networkContract(ground);
  });
}
