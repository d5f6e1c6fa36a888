import * as fs from "node:fs";
import * as os from "node:os";
import { probeKvm } from "./kvm-probe";
import { onPath, run } from "./run";
import { readState } from "./state";
import type { Report, SiteChoice, SiteKind, SiteOptions } from "./types";

/** What of this computer decides, so that the choice itself is a pure function. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  readonly uid: number;
  readonly hasApt: boolean;
  /** Whether new mount, network and process namespaces can be made. */
  readonly hasNamespaces: boolean;
  readonly memoryBytes: number;
  readonly cpus: number;
  /** Undefined: a guest booted with hardware virtualization; else why not. */
  readonly kvmProblem: string | undefined;
}

/** GiB that two machines and this computer take together. */
const MEMORY = { kvm: 7, emulated: 6 };
/** Two CPUs of the control plane, one of the worker, one of this computer: each its own. */
const KVM_CPUS = 4;

/** What is said for or against one kind of site. */
export interface KindVerdict {
  readonly kind: SiteKind;
  readonly possible: boolean;
  readonly why: string;
}

/** Every kind of site, best first, before a guest is booted to see whether hardware virtualization works. */
export function kinds(machine: Omit<Machine, "kvmProblem">, hasKvm: boolean): readonly KindVerdict[] {
  const kvm = decide({ ...machine, kvmProblem: hasKvm ? undefined : "no /dev/kvm on this computer" });
  const emulated = decide({ ...machine, kvmProblem: "not asked" });
  return [
    kvm.kind === "kvm"
      ? {
          kind: "kvm",
          possible: true,
          why: "/dev/kvm is there; the quickstart boots a test guest, and emulates if that fails",
        }
      : { kind: "kvm", possible: false, why: kvm.reasons[0]! },
    emulated.kind === "emulated"
      ? {
          kind: "emulated",
          possible: true,
          why: "namespaces can be made: a KVM host and a machine beside it are emulated",
        }
      : {
          kind: "emulated",
          possible: false,
          why: emulated.reasons.filter((reason) => reason !== "not asked").join("; "),
        },
  ];
}

/** Which site a computer like this can be, and why. */
export function decide(machine: Machine): SiteChoice {
  const problems: string[] = [];
  if (machine.platform !== "linux") problems.push(`this is ${machine.platform}: namespaces and KVM are Linux's`);
  else {
    if (machine.arch !== "x64") problems.push(`this is ${machine.arch}: the machines' images are made for x86-64`);
    if (machine.uid !== 0) problems.push("no root: run it with sudo");
    if (!machine.hasApt) problems.push("no apt-get: the site is made of Debian packages");
  }
  if (problems.length > 0) return { kind: "none", reasons: problems };
  const gib = machine.memoryBytes / 2 ** 30;
  const hasCpus = machine.cpus >= KVM_CPUS;
  if (machine.kvmProblem === undefined && gib >= MEMORY.kvm && hasCpus) {
    return {
      kind: "kvm",
      reasons: ["a guest booted with hardware virtualization: machines are carved from this computer"],
    };
  }
  const why =
    machine.kvmProblem ??
    (hasCpus
      ? `${gib.toFixed(1)} GiB of memory are too little for two machines (${MEMORY.kvm} GiB)`
      : `${machine.cpus} CPUs are too few for two machines with CPUs of their own (${KVM_CPUS})`);
  if (!machine.hasNamespaces)
    return { kind: "none", reasons: [why, "no namespaces either: this looks like a container without privileges"] };
  if (gib < MEMORY.emulated)
    return {
      kind: "none",
      reasons: [why, `${gib.toFixed(1)} GiB of memory; the emulated site needs ${MEMORY.emulated} GiB`],
    };
  return {
    kind: "emulated",
    reasons: [
      why,
      "so a KVM host is emulated here, the worker carved from it, and the control plane put on a machine next to it",
    ],
  };
}

/**
 * Looks at this computer, once a process; booting the test guest takes 2 to 25 s where /dev/kvm is there. While a site is up,
 * its kind is the answer.
 */
export async function chooseSite(report: Report, options: SiteOptions = {}): Promise<SiteChoice> {
  const state = readState();
  if (state) return { kind: state.kind, reasons: [`a site of this kind is up since ${state.createdAt}`] };
  return (looked ??= look(report, options));
}

let looked: Promise<SiteChoice> | undefined;

/** This computer as it is now. */
export async function lookAtMachine(): Promise<Omit<Machine, "kvmProblem">> {
  const linux = process.platform === "linux";
  const uid = process.getuid?.() ?? -1;
  const namespaces = ["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "true"];
  return {
    platform: process.platform,
    arch: process.arch,
    uid,
    hasApt: linux && (await onPath("apt-get")),
    hasNamespaces:
      linux &&
      uid === 0 &&
      (await run("unshare", namespaces, { allowFailure: true }).catch(() => undefined))?.code === 0,
    // A container's limit counts, not the memory of the computer that it runs on.
    memoryBytes: Math.min(os.totalmem(), process.constrainedMemory() || Infinity),
    cpus: os.availableParallelism(),
  };
}

async function look(report: Report, options: SiteOptions): Promise<SiteChoice> {
  const machine = await lookAtMachine();
  const possible = decide({ ...machine, kvmProblem: undefined }).kind === "kvm";
  const kvmProblem = !possible
    ? undefined
    : fs.existsSync("/dev/kvm")
      ? await probeKvm(report, options)
      : "no /dev/kvm on this computer";
  return decide({ ...machine, kvmProblem });
}
