import * as fs from "node:fs";
import * as path from "node:path";
import { siteDir } from "./paths";
import { identify, isAlive, type ProcessRecord } from "./processes";
import type { Subnet } from "./network";
import { sleep } from "./run";
import { type Report, type Site, SiteError, type SiteKind } from "./types";

/** What `down` must know, written before each thing is made. */
export interface SiteState {
  readonly schema: 1;
  readonly kind: SiteKind;
  readonly createdAt: string;
  /** Decided when the host is started for the first time. */
  subnet?: Subnet;
  /** Read-only roots in the cache that machines of the site stand on. */
  readonly roots: { readonly host: string; readonly node: string | undefined } | undefined;
  processes: ProcessRecord[];
  cgroups: string[];
  /** vm.nr_hugepages as it was. */
  hugepagesBefore?: number;
  /** Set when everything answers. */
  site?: Site;
}

const file = (): string => path.join(siteDir(), "site.json");

export function readState(): SiteState | undefined {
  let text: string;
  try {
    text = fs.readFileSync(file(), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  let state: SiteState | { readonly schema?: unknown } | null;
  try {
    state = JSON.parse(text) as SiteState | { readonly schema?: unknown } | null;
  } catch {
    throw new SiteError(
      `${file()} is no JSON, so what the site consists of is not known: put it back as it was, or end its processes by hand ` +
        `(\`pgrep -af ${siteDir()}\`) and remove the folder`,
    );
  }
  if (!isCurrent(state)) {
    throw new SiteError(
      `${file()} is of schema ${JSON.stringify(state?.schema)}, made by another version of kvmesh; take the site down with that one`,
    );
  }
  return state;
}

function isCurrent(state: SiteState | { readonly schema?: unknown } | null): state is SiteState {
  return state?.schema === 1;
}

export function writeState(state: SiteState): void {
  fs.mkdirSync(siteDir(), { recursive: true, mode: 0o700 });
  const partial = `${file()}.partial`;
  fs.writeFileSync(partial, `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o600 });
  fs.renameSync(partial, file());
}

/** Runs `work` while no other process changes the site; a lock left by a process that is gone is taken over. */
export async function locked<T>(report: Report, work: () => Promise<T>): Promise<T> {
  const lock = `${siteDir()}.lock`;
  fs.mkdirSync(path.dirname(lock), { recursive: true, mode: 0o700 });
  // A link is made whole or not at all: a lock without its holder in it would be waited for in vain.
  const own = `${lock}.${process.pid}`;
  for (let waited = 0; ; waited += 500) {
    fs.writeFileSync(own, JSON.stringify(identify("kvmesh", process.pid)));
    try {
      fs.linkSync(own, lock);
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    } finally {
      fs.rmSync(own, { force: true });
    }
    const holder = holderOf(lock);
    if (holder && !isAlive(holder)) fs.rmSync(lock, { force: true });
    else if (waited >= 600_000)
      throw new SiteError(
        `${lock} is held by process ${holder?.pid ?? "?"} for over 10 min; end that run or remove the file`,
      );
    else if (waited % 5_000 === 0)
      report(`  another run (process ${holder?.pid ?? "?"}) is changing the site; waiting`);
    await sleep(500);
  }
  try {
    return await work();
  } finally {
    fs.rmSync(lock, { force: true });
  }
}

function holderOf(lock: string): ProcessRecord | undefined {
  try {
    return JSON.parse(fs.readFileSync(lock, "utf8")) as ProcessRecord;
  } catch {
    return undefined;
  }
}
