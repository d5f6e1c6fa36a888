import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";

/** Holders touch their lock this often, milliseconds. */
const heartbeat = 2_000;
/** A lock that was not touched for this long belongs to a dead process, also to one on another host or in a container. */
const stale = 20_000;

interface Holder {
  readonly host: string;
  readonly pid: number;
}

/**
 * Runs `work` while no other process holds the lock `file`. Waits for it, telling `onWait` once who has it.
 *
 * It saves double work, it doesn't protect data: what it guards is written to a temporary place and renamed, so the
 * rare case of two processes that both break the same dead lock costs time and nothing else.
 */
export async function withLock<T>(file: string, onWait: (holder: string) => void, work: () => Promise<T>): Promise<T> {
  await fs.mkdir(path.dirname(file), { recursive: true });
  let told = false;
  for (let looks = 0; !(await tryCreate(file)); looks += 1) {
    const holder = await readHolder(file);
    if (await isDead(file, holder)) {
      await fs.rm(file, { force: true });
      continue;
    }
    // At the first look the holder may still be writing its name.
    if (!told && (holder !== undefined || looks > 0)) {
      told = true;
      onWait(holder ? `process ${holder.pid} on ${holder.host}` : "another process");
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  const touch = setInterval(() => {
    const now = new Date();
    fs.utimes(file, now, now).catch(() => undefined); // gone: someone thought us dead; see above
  }, heartbeat);
  try {
    return await work();
  } finally {
    clearInterval(touch);
    await fs.rm(file, { force: true });
  }
}

async function tryCreate(file: string): Promise<boolean> {
  const holder: Holder = { host: os.hostname(), pid: process.pid };
  try {
    await fs.writeFile(file, JSON.stringify(holder), { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    const holder = JSON.parse(await fs.readFile(file, "utf8")) as Partial<Holder>;
    return typeof holder.pid === "number" && typeof holder.host === "string" ? (holder as Holder) : undefined;
  } catch {
    return undefined; // just removed, or just being written
  }
}

async function isDead(file: string, holder: Holder | undefined): Promise<boolean> {
  const touched = await fs.stat(file).then(
    (stat) => stat.mtimeMs,
    () => Date.now(), // just released
  );
  if (Date.now() - touched > stale) return true;
  // After Ctrl-C the next run on this host needn't wait until the lock is stale.
  return holder !== undefined && holder.host === os.hostname() && !isRunning(holder.pid);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
