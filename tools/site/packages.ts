import * as fs from "node:fs";
import { onPath, run } from "./run";
import { type Report, SiteError, type SiteOptions } from "./types";

/** A command that the site needs on this computer, the Debian package it comes in, and what for. */
export interface Need {
  readonly command: string;
  readonly package: string;
  readonly purpose: string;
}

export const emulatedNeeds: readonly Need[] = [
  { command: "mmdebstrap", package: "mmdebstrap", purpose: "makes Debian roots" },
  { command: "ip", package: "iproute2", purpose: "connects the site to this computer" },
  { command: "ssh", package: "openssh-client", purpose: "checks that its machines answer" },
  { command: "ssh-keygen", package: "openssh-client", purpose: "makes their keys" },
];

/** What is missing, as package → purposes. */
export async function missingPackages(needs: readonly Need[]): Promise<Map<string, string[]>> {
  const missing = new Map<string, string[]>();
  for (const need of needs) {
    if (!(await onPath(need.command))) missing.set(need.package, [...(missing.get(need.package) ?? []), need.purpose]);
  }
  // mmdebstrap checks Debian's archive by these keys; other distributions don't have them.
  if (missing.has("mmdebstrap") || !fs.existsSync("/usr/share/keyrings/debian-archive-keyring.gpg")) {
    if (
      needs.some((need) => need.package === "mmdebstrap") &&
      !fs.existsSync("/usr/share/keyrings/debian-archive-keyring.gpg")
    ) {
      missing.set("debian-archive-keyring", ["proves that Debian's packages are Debian's"]);
    }
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
