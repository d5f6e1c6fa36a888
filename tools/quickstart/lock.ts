import * as fs from "node:fs";
import * as path from "node:path";
import { identify, isAlive, type ProcessRecord } from "../site/processes";
import { QuickstartError } from "./errors";

/** Who runs the quickstart on a data folder. */
interface Holder extends ProcessRecord {
  readonly since: string;
  /** "up" or "destroy". */
  readonly action: string;
}

const lockFile = (data: string): string => path.join(data, "quickstart.lock");

/** The quickstart that runs on this data folder now; one that was killed is none. */
export function holderOfQuickstart(data: string): Holder | undefined {
  let holder: Holder;
  try {
    holder = JSON.parse(fs.readFileSync(lockFile(data), "utf8")) as Holder;
  } catch {
    return undefined; // none, or of a process that was killed while it wrote
  }
  return isAlive(holder) ? holder : undefined;
}

/**
 * Runs `work` as the only quickstart on the data folder.
 * @throws QuickstartError that names the other one; nothing is waited for, because its end changes what there is to do
 */
export async function asOnlyQuickstart<T>(data: string, action: string, work: () => Promise<T>): Promise<T> {
  fs.mkdirSync(data, { recursive: true, mode: 0o700 });
  const file = lockFile(data);
  const own = `${file}.${process.pid}`;
  fs.writeFileSync(
    own,
    JSON.stringify({ ...identify("quickstart", process.pid), since: new Date().toISOString(), action }),
  );
  try {
    take(own, file, data);
  } finally {
    fs.rmSync(own, { force: true });
  }
  try {
    return await work();
  } finally {
    fs.rmSync(file, { force: true });
  }
}

/** A link is made whole or not at all: nobody ever sees a lock without its holder in it. */
function take(own: string, file: string, data: string): void {
  for (;;) {
    try {
      fs.linkSync(own, file);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const holder = holderOfQuickstart(data);
    if (holder) {
      throw new QuickstartError(
        `another quickstart (process ${holder.pid}, ${holder.action}, since ${holder.since}) is at work on ${data}: ` +
          "let it end, or end it with Ctrl-C; a second one beside it needs another KVMESH_DATA and another checkout",
      );
    }
    // Of one that was killed. Taken away under a name of its own first: of two that see it, one removes it.
    const dead = `${own}.dead`;
    try {
      fs.renameSync(file, dead);
      if (holderIn(dead)) fs.linkSync(dead, file);
    } catch (error) {
      if (!["ENOENT", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    }
    fs.rmSync(dead, { force: true });
  }
}

/** Whether the file that was taken away is a living one's after all: another process was faster. */
function holderIn(file: string): boolean {
  try {
    return isAlive(JSON.parse(fs.readFileSync(file, "utf8")) as Holder);
  } catch {
    return false;
  }
}
