import * as fs from "node:fs";
import * as os from "node:os";
import { probeKvm } from "./kvm-probe";
import { onPath, run } from "./run";
import { readState } from "./state";
import type { Report, SiteChoice, SiteOptions } from "./types";

/** What of this computer decides, so that the choice itself is a pure function. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  readonly uid: number;
  readonly hasApt: boolean;
  /** Whether new mount, network and process namespaces can be made. */
  readonly hasNamespaces: boolean;
  readonly memoryBytes: number;
  /** Undefined: a guest booted with hardware virtualization; else why not. */
  readonly kvmProblem: string | undefined;
}

const MEMORY = { kvm: 7, emulated: 6 };

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
  if (machine.kvmProblem === undefined && gib >= MEMORY.kvm) {
    return {
      kind: "kvm",
      reasons: ["a guest booted with hardware virtualization: machines are carved from this computer"],
    };
  }
  const why =
    machine.kvmProblem ?? `${gib.toFixed(1)} GiB of memory are too little for two machines (${MEMORY.kvm} GiB)`;
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

async function look(report: Report, options: SiteOptions): Promise<SiteChoice> {
  const linux = process.platform === "linux";
  const uid = process.getuid?.() ?? -1;
  const machine: Omit<Machine, "kvmProblem"> = {
    platform: process.platform,
    arch: process.arch,
    uid,
    hasApt: linux && (await onPath("apt-get")),
    hasNamespaces:
      linux &&
      uid === 0 &&
      (await run("unshare", ["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "true"], { allowFailure: true }))
        .code === 0,
    memoryBytes: os.totalmem(),
  };
  const possible = decide({ ...machine, kvmProblem: undefined }).kind !== "none";
  const kvmProblem = !possible
    ? "not tried"
    : fs.existsSync("/dev/kvm")
      ? await probeKvm(report, options)
      : "no /dev/kvm on this computer";
  return decide({ ...machine, kvmProblem });
}
