import * as fs from "node:fs";
import { onPath, run } from "./run";
import { type Report, SiteError, type SiteOptions } from "./types";

/** A command that the site needs on this computer, the Debian package it comes in, and what for. */
export interface Need {
  readonly command: string;
  readonly package: string;
  readonly purpose: string;
}

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const MMDEBSTRAP: Need = { command: "mmdebstrap", package: "mmdebstrap", purpose: "makes Debian roots" };

export const emulatedNeeds: readonly Need[] = [
  MMDEBSTRAP,
  { command: "ip", package: "iproute2", purpose: "connects the site to this computer" },
  { command: "ssh", package: "openssh-client", purpose: "checks that its machines answer" },
  { command: "ssh-keygen", package: "openssh-client", purpose: "makes their keys" },
];

export const hardwareNeeds: readonly Need[] = [
  { command: "qemu-system-x86_64", package: "qemu-system-x86", purpose: "runs the machines" },
  { command: "qemu-img", package: "qemu-utils", purpose: "makes their disks" },
  { command: "libvirtd", package: "libvirt-daemon-system", purpose: "keeps the machines" },
  { command: "virsh", package: "libvirt-clients", purpose: "talks to libvirt" },
  { command: "dnsmasq", package: "dnsmasq-base", purpose: "resolves names for the machines" },
  { command: "xorriso", package: "xorriso", purpose: "makes the disk of a machine's first settings" },
  { command: "ip", package: "iproute2", purpose: "finds a free network" },
  { command: "ssh", package: "openssh-client", purpose: "checks that the host answers" },
  { command: "ssh-keygen", package: "openssh-client", purpose: "makes its keys" },
];

/** What is missing, as package → purposes. */
export async function missingPackages(needs: readonly Need[]): Promise<Map<string, string[]>> {
  const missing = new Map<string, string[]>();
  for (const need of needs) {
    if (!(await onPath(need.command))) missing.set(need.package, [...(missing.get(need.package) ?? []), need.purpose]);
  }
  // mmdebstrap checks Debian's archive by these keys; other distributions don't have them.
  if (needs.includes(MMDEBSTRAP) && !fs.existsSync(KEYRING)) {
    missing.set("debian-archive-keyring", ["proves that Debian's packages are Debian's"]);
  }
  return missing;
}

/**
 * Installs what is missing through apt-get, after saying what and asking.
 * @throws SiteError when the answer is no, or nobody can be asked
 */
export async function ensurePackages(
  needs: readonly Need[],
  report: Report,
  options: SiteOptions,
): Promise<readonly string[]> {
  const missing = await missingPackages(needs);
  if (missing.size === 0) return [];
  const names = [...missing.keys()];
  report("this needs packages that are not installed here:");
  for (const [name, purposes] of missing) report(`  ${name}: ${purposes.join(", ")}`);
  if (!options.yes && !(await options.confirm?.(`install ${names.join(", ")} with apt-get?`))) {
    throw new SiteError(
      `not installed: ${names.join(", ")}. Say --yes to install without a question, or: apt-get install ${names.join(" ")}`,
    );
  }
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const install = ["install", "--yes", "--quiet", "--no-install-recommends", ...names];
  // Package lists may be old or not there at all: only then are they fetched.
  if ((await run("apt-get", install, { env, what: "apt-get install", report, allowFailure: true })).code === 0)
    return names;
  await run("apt-get", ["update", "--quiet"], { env, what: "apt-get update", report });
  await run("apt-get", install, { env, what: "apt-get install", report });
  return names;
}

/** Debian's switch for services that a package brings; it is there only while this installs one. */
const POLICY = "/usr/sbin/policy-rc.d";
const OURS = "#!/bin/sh\n# kvmesh: there while it installs openssh-server\nexit 101\n";

/** Takes away the switch that a killed run has left: no package's service would ever start again. */
export function removeOwnPolicy(file = POLICY): void {
  if (fs.existsSync(file) && fs.readFileSync(file, "utf8") === OURS) fs.rmSync(file);
}

/**
 * The SSH server's program, for a server of the site's own on loopback. Where it was not installed before, the package's own
 * service is neither started nor enabled: installing a site must not open port 22 of this computer.
 */
export async function installOpensshServer(report: Report, options: SiteOptions): Promise<void> {
  if (fs.existsSync("/usr/sbin/sshd")) return;
  removeOwnPolicy();
  if (!fs.existsSync(POLICY)) fs.writeFileSync(POLICY, OURS, { mode: 0o755 });
  try {
    const purpose = "lets the program reach this host as any other; on loopback only, its own service stays off";
    await ensurePackages([{ command: "sshd", package: "openssh-server", purpose }], report, options);
    await run("systemctl", ["disable", "ssh.service", "ssh.socket"], { allowFailure: true }).catch(() => undefined);
  } finally {
    removeOwnPolicy();
  }
}
