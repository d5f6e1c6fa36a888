/** What a stack runs on where the user has no host: the best site that this computer can be. */
import { chooseSite } from "./choose";
import { emulatedDown, emulatedHostUp, emulatedParts, emulatedUp } from "./emulated";
import { hardwareDown, hardwareParts, hardwareUp } from "./hardware";
import { emulatedNeeds, ensurePackages, removeOwnPolicy } from "./packages";
import { locked, readState } from "./state";
import { type HostOnly, type Report, type Site, SiteError, type SiteOptions, type SiteStatus } from "./types";

export * from "./types";
export { getReady } from "./ahead";
export { chooseSite, kinds, lookAtMachine, type KindVerdict, type Machine } from "./choose";
export { dataDir, siteDir } from "./paths";

/**
 * Brings the site up, or takes the one that is up; a half-dead one is started again on its disks.
 * It outlives this process, until siteDown.
 * @throws SiteError where this computer can't be a site, or when a part does not come up
 */
export async function siteUp(report: Report, options: SiteOptions = {}): Promise<Site> {
  return locked(report, async () => {
    const kind = readState()?.kind ?? options.kind ?? (await chosenKind(report, options));
    if (kind === "kvm") return hardwareUp(report, options);
    await ensurePackages(emulatedNeeds, report, options);
    return emulatedUp(report, options);
  });
}

/** The emulated KVM host alone: a real libvirt over real SSH, for tests. Taken down by siteDown like any site. */
export async function hostUp(report: Report, options: SiteOptions = {}): Promise<HostOnly> {
  return locked(report, async () => {
    await ensurePackages(emulatedNeeds, report, options);
    return emulatedHostUp(report);
  });
}

async function chosenKind(report: Report, options: SiteOptions): Promise<"kvm" | "emulated"> {
  const choice = await chooseSite(report, options);
  if (choice.kind === "none") throw new SiteError(`no site can be made on this computer: ${choice.reasons.join("; ")}`);
  return choice.kind;
}

/** Ends everything of the site and removes it; nothing is left but the cache. Without a site it does nothing. */
export async function siteDown(report: Report): Promise<void> {
  await locked(report, async () => {
    const state = readState();
    removeOwnPolicy();
    if (!state) {
      report("no site is up");
      return;
    }
    report(`taking the ${state.kind} site down`);
    await (state.kind === "kvm" ? hardwareDown(state, report) : emulatedDown(state));
    report("the site is gone; what it was made from is kept in the cache");
  });
}

/** What is up, without changing it. */
export async function siteStatus(): Promise<SiteStatus> {
  const state = readState();
  if (!state) return { state: "down", parts: [] };
  const { ok, lines } = await (state.kind === "kvm" ? hardwareParts(state) : emulatedParts(state));
  return { state: ok ? "up" : "broken", kind: state.kind, parts: lines };
}
