import * as fs from "node:fs";
import * as path from "node:path";
import { QuickstartError } from "./errors";
import { stackName } from "./stack-file";

/** What Pulumi's file backend writes while it changes a stack. */
interface StateLock {
  readonly file: string;
  readonly pid?: number;
  readonly timestamp?: string;
}

/**
 * Takes away the state's lock that a killed Pulumi left; the run lock says that no quickstart of this folder is alive.
 * @throws QuickstartError where a Pulumi that somebody started by hand is at work
 */
export function releaseStateLock(data: string): void {
  for (const { file, pid, timestamp } of locksIn(path.join(data, "state", ".pulumi", "locks"))) {
    if (pid !== undefined && isPulumi(pid)) {
      throw new QuickstartError(
        `Pulumi (process ${pid}, since ${timestamp ?? "?"}) is changing the stack ${stackName}: let it end, then run this again`,
      );
    }
    fs.rmSync(file, { force: true });
  }
}

function locksIn(folder: string): readonly StateLock[] {
  if (!fs.existsSync(folder)) return [];
  const files = fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".json"));
  return files.map((name) => {
    const file = path.join(folder, name);
    try {
      return { ...(JSON.parse(fs.readFileSync(file, "utf8")) as Omit<StateLock, "file">), file };
    } catch {
      return { file }; // half-written, by one that was killed
    }
  });
}

function isPulumi(pid: number): boolean {
  try {
    return fs.readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "pulumi";
  } catch {
    return false;
  }
}
