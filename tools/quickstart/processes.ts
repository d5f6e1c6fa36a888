import * as fs from "node:fs";
import { parseStat } from "../site/processes";
import { sleep } from "../site/run";

/**
 * Processes of a quickstart on one data folder are known by a variable that all their children inherit. The site's own
 * machines don't have it: they are to outlive the run, and stand in the site's record.
 */
const VARIABLE = "KVMESH_QUICKSTART";

/** Marks this process: whatever it starts from now on is found by `startedOn`. */
export function markProcess(data: string): void {
  process.env[VARIABLE] = data;
}

interface Started {
  readonly pid: number;
  /** As the kernel has it, at most 15 characters: "pulumi", "go". */
  readonly name: string;
}

/** What runs now of quickstarts on this data folder, this process and those above it left out. */
export function startedOn(data: string): readonly Started[] {
  if (process.platform !== "linux") return [];
  const own = new Set(lineage(process.pid));
  return fs.readdirSync("/proc").flatMap((entry): Started[] => {
    const pid = Number(entry);
    if (!/^\d+$/.test(entry) || own.has(pid)) return [];
    try {
      const variables = fs.readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
      if (!variables.includes(`${VARIABLE}=${data}`)) return [];
      return [{ pid, name: fs.readFileSync(`/proc/${pid}/comm`, "utf8").trim() }];
    } catch {
      return []; // it has just ended, or is another user's
    }
  });
}

/** A process and all above it. */
function lineage(pid: number): readonly number[] {
  if (pid <= 1) return [];
  try {
    const { parent } = parseStat(fs.readFileSync(`/proc/${pid}/stat`, "utf8"));
    return [pid, ...lineage(parent)];
  } catch {
    return [pid];
  }
}

/** How long each is given to end by itself, ms. Pulumi writes its state; what dpkg does must not be cut in half. */
const patience: Readonly<Record<string, number>> = { pulumi: 60_000, "apt-get": 120_000, dpkg: 120_000 };
const OTHERS_MS = 3_000;

/**
 * Ends what quickstarts on this data folder have started: Pulumi is asked as by Ctrl-C, so that its state stays whole.
 * Returns when nothing of it runs.
 */
export async function endStarted(data: string, report: (line: string) => void): Promise<void> {
  const found = startedOn(data);
  if (found.length === 0) return;
  report(`ending what still runs of it: ${[...new Set(found.map(({ name }) => name))].join(", ")}`);
  const careful = found.filter(({ name }) => name in patience);
  for (const { pid } of careful.filter(({ name }) => name === "pulumi")) signal(pid, "SIGINT");
  const started = Date.now();
  for (let said = started; ;) {
    await sleep(100);
    const waited = Date.now() - started;
    const left = startedOn(data).filter(({ name }) => waited < (patience[name] ?? 0));
    if (left.length === 0) break;
    if (Date.now() - said < 5_000) continue;
    said = Date.now();
    report(`  ${left.map(({ pid, name }) => `${name} (process ${pid})`).join(", ")}: ${Math.round(waited / 1000)} s`);
  }
  const killing = Date.now();
  for (let left = startedOn(data); left.length > 0; left = startedOn(data)) {
    for (const { pid } of left) signal(pid, Date.now() - killing < OTHERS_MS ? "SIGTERM" : "SIGKILL");
    await sleep(100);
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it has just ended
  }
}
