import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { domainKind } from "../../provider/domain/domain";
import type { DomainInputs, DomainOutputs } from "../../provider/domain/schema";
import type { SshTransport } from "../../provider/transport/ssh";
import type { Endpoint } from "../../provider/transport/transport";
import { testContext } from "./context";
import type { TestContext } from "./context";
import type { Ground } from "./storage-contract";

export const MIB = 1024 * 1024;
export const owner = { project: "contract", stack: "test", cluster: "test", environment: "development" } as const;
export const storage = "/var/lib/kvmesh-contract";
/** Stands where a person's words may stand: in the resource's name and in cloud-init's data. Executed, it leaves a trace. */
export const hostile = `'"; touch /tmp/kvmesh-was-executed; $(touch /tmp/kvmesh-was-executed) <&amp;> ]]> \\ é\u2028\n\t`;

/** The host under test, and the machine that the contract's parts make, change and remove, one after the other. */
export interface MachineGround extends Ground {
  /** Changes the affinity of a running machine's first vCPU behind libvirt's back, as `taskset` does. */
  readonly setAffinity: (pid: number, thread: number, cpus: string) => string;
  readonly inputs: DomainInputs;
  /** From its start on, with its UUID as `id`. */
  made: DomainInputs & DomainOutputs;
  id: string;
}

/** A machine that floats, for a part of the contract that is about its disks or its firmware. */
export function floatingMachine(
  host: Endpoint,
  named: { readonly name: string; readonly storage: string; readonly disks: readonly object[] },
  change: object = {},
): DomainInputs {
  return domainKind.check({
    ...{ host, owner, type: "qemu", memoryBytes: 64 * MIB, interfaces: [], autostart: false },
    ...{ vcpus: 1, vcpuPins: [], emulatorPin: [], ioThreadPin: [] },
    ...named,
    ...change,
  }).inputs;
}

/** As the engine asks for an import into the stack "test" of the project "contract", which knows one host. */
export function importContext(transport: SshTransport, there: Endpoint): TestContext {
  return {
    ...testContext(transport),
    urn: "urn:pulumi:test::contract::kvmesh:index:Thing::thing",
    importing: { hosts: new Map([["there", there]]), cluster: "test" },
  };
}

/** 64 hex digits. */
export function sha256(file: string): string {
  return createHash("sha256").update(fs.readFileSync(file)).digest("hex");
}
