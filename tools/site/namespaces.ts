import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { scriptsDir } from "./cache";
import { childrenOf, identify, type ProcessRecord } from "./processes";
import { run, sleep } from "./run";
import { SiteError } from "./types";

/** A machine made of namespaces: a root of its own over a read-only one, its own pid 1, network and host name. */
export interface NamespaceMachine {
  readonly name: string;
  /** Folder for everything of it: upper/, work/, merged/, keep/, site/, log. */
  readonly dir: string;
  /** The read-only root in the cache. */
  readonly lower: string;
  /** Its init: a file in scripts/, or an absolute path. */
  readonly init: string;
  /** name → path inside: real folders, not overlaid. */
  readonly keep: Readonly<Record<string, string>>;
  /** Device nodes beside null, zero, random, tty. */
  readonly devices: readonly string[];
  /** Name of its own cgroup in every hierarchy. */
  readonly cgroup: string;
  /** Files for /run/site: hostname, keys and whatever its init reads. */
  readonly files: Readonly<Record<string, string>>;
}

/** Pid 1 of the machine and the unshare process that holds it. */
export interface RunningMachine {
  readonly init: ProcessRecord;
  readonly holder: ProcessRecord;
}

/** Writes down what `down` will have to end. */
export type Recorder = (started: RunningMachine) => void;

/**
 * Starts a machine. It lives on when this process ends, from `record` on; one that ends before takes the machine along, because nobody would
 * know of it. What `dir` holds of an earlier start is used again, as after a reboot.
 * @throws SiteError with the end of its log when its root can't be made
 */
export async function startMachine(machine: NamespaceMachine, record: Recorder): Promise<RunningMachine> {
  const inDir = (name: string): string => path.join(machine.dir, name);
  for (const name of ["upper", "merged", "keep", ...Object.keys(machine.keep).map((keep) => `keep/${keep}`)]) {
    fs.mkdirSync(inDir(name), { recursive: true });
  }
  // overlayfs wants a fresh work folder; the machine's own files are made anew at each start.
  for (const name of ["work", "site"]) {
    fs.rmSync(inDir(name), { recursive: true, force: true });
    fs.mkdirSync(inDir(name), { mode: 0o700 });
  }
  for (const script of [machine.init, "services.sh", "systemctl.sh"]) {
    fs.copyFileSync(path.resolve(scriptsDir(), script), inDir(`site/${script === machine.init ? "init.sh" : script}`));
  }
  for (const [name, content] of Object.entries(machine.files))
    fs.writeFileSync(inDir(`site/${name}`), content, { mode: 0o600 });

  const log = fs.openSync(inDir("log"), "w");
  const child = spawn(
    "unshare",
    [
      ...["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child"],
      ...["/bin/bash", path.join(scriptsDir(), "enter-root.sh")],
    ],
    {
      detached: true,
      cwd: "/",
      stdio: ["pipe", log, log],
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ROOT_LOWER: machine.lower,
        ROOT_DIR: machine.dir,
        ROOT_KEEP: Object.entries(machine.keep)
          .map(([name, inside]) => `${name}:${inside}`)
          .join(" "),
        ROOT_CGROUP: machine.cgroup,
        ROOT_DEVICES: machine.devices.join(" "),
      },
    },
  );
  fs.closeSync(log);
  const failed = new Promise<never>((_, reject) => child.on("error", reject));
  const ended = new Promise<"ended">((resolve) => child.on("exit", () => resolve("ended")));
  child.stdin!.on("error", () => undefined);
  child.unref();

  let started: RunningMachine | undefined;
  for (let waited = 0; waited < 15_000; waited += 50) {
    if ((await Promise.race([sleep(50), ended, failed])) === "ended") break;
    const pid = childrenOf(child.pid!)[0];
    if (pid === undefined) continue;
    if (!started) {
      started = { init: identify(`${machine.name} (pid 1)`, pid)!, holder: identify(machine.name, child.pid!)! };
      record(started);
      child.stdin!.end("recorded\n");
    }
    // Its init runs when the root is entered and no process of enter-root.sh is left.
    if (fs.existsSync(`/proc/${pid}/root/run/site/init.sh`) && commandOf(pid).includes("/run/site/init.sh"))
      return started;
  }
  const tail = fs.readFileSync(inDir("log"), "utf8").trim().split("\n").slice(-6).join("\n  ");
  child.kill("SIGKILL");
  throw new SiteError(`${machine.name} did not start; the end of ${inDir("log")}:\n  ${tail || "(empty)"}`);
}

function commandOf(pid: number): string {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replace(/\0/g, " ");
  } catch {
    return "";
  }
}

/** Removes a machine's cgroups, innermost first; its processes have ended. */
export async function removeCgroups(name: string): Promise<void> {
  const { stdout } = await run("find", ["/sys/fs/cgroup", "-depth", "-type", "d", "-path", `*/${name}*`], {
    allowFailure: true,
  });
  for (const dir of stdout.split("\n").filter((line) => line.split("/").includes(name))) {
    for (let tries = 0; ; tries += 1) {
      try {
        fs.rmdirSync(dir);
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") break;
        // A cgroup stays busy for a moment after its last process was killed.
        if (tries >= 50) throw error;
        await sleep(100);
      }
    }
  }
}
