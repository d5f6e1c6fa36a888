/**
 * A real OpenSSH server on loopback, in a throw-away root: an overlay over the emulated host's Debian root, entered in a mount and
 * a pid namespace. What scripts write stays in the overlay; /proc/sys and /sys are plain folders, so that no script can change
 * this computer's kernel. Needs root, and the root in the cache.
 */
import { spawn, execFileSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import type { Endpoint } from "../../provider/transport/transport";
import { hostRecipe, rootPath, type RootRecipe } from "../../tools/site/roots";
import { guardFolder, UNTIL_THIS_ENDS } from "./guard";

export type KeyType = "ed25519" | "ecdsa" | "rsa";

export interface RealSshdOptions {
  /** The only host keys that it has; default ed25519. */
  readonly hostKeys?: readonly (readonly [type: KeyType, bits?: number])[];
  /** A root of the cache with sshd in it; default the emulated host's. */
  readonly root?: RootRecipe;
  /** Further options of sshd, "HostKeyAlgorithms=rsa-sha2-256". */
  readonly options?: readonly string[];
}

/** Why there can be none here; undefined: there can. */
export function noRealSshd(): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "needs root on Linux";
  if (!fs.existsSync(path.join(rootPath(hostRecipe), "usr/sbin/sshd")))
    return "the emulated host's root is not in the cache: `npm test -- host` makes it";
  return undefined;
}

const START = `set -e
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$DIR/upper,workdir=$DIR/work" "$DIR/merged"
cd "$DIR/merged"
mount -t proc proc proc
mount --bind "$DIR/proc-sys" proc/sys
mount --bind "$DIR/sys" sys
mount -t tmpfs -o mode=755 dev dev
for node in null zero full random urandom tty; do touch dev/$node; mount --bind /dev/$node dev/$node; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=755 run run
mkdir run/sshd run/lock
mount -t tmpfs -o mode=1777 tmp tmp
exec chroot . "$@"`;

export class RealSshd {
  private constructor(
    private readonly dir: string,
    private readonly child: ChildProcess,
    readonly port: number,
    /** Public keys, type and base64, in the order asked for. */
    readonly hostKeys: readonly string[],
    /** Private key that may log in as root. */
    readonly identityFile: string,
    private readonly release: () => void,
  ) {}

  static async start(options: RealSshdOptions = {}): Promise<RealSshd> {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-sshd-"));
    const release = guardFolder(dir);
    for (const name of ["upper/root/.ssh", "upper/etc/ssh", "work", "merged", "sys", "proc-sys"])
      fs.mkdirSync(path.join(dir, name), { recursive: true });
    fs.chmodSync(path.join(dir, "upper/root"), 0o700);
    const keygen = (file: string, type: string, bits?: number): string => {
      const size = bits === undefined ? [] : ["-b", `${bits}`];
      execFileSync("ssh-keygen", ["-q", "-t", type, ...size, "-N", "", "-C", "", "-f", file]);
      return fs.readFileSync(`${file}.pub`, "utf8").trim().split(/\s+/).slice(0, 2).join(" ");
    };
    const identityFile = path.join(dir, "id");
    fs.writeFileSync(path.join(dir, "upper/root/.ssh/authorized_keys"), `${keygen(identityFile, "ed25519")}\n`, {
      mode: 0o600,
    });
    const wanted = options.hostKeys ?? [["ed25519"] as const];
    const hostKeys = wanted.map(([type, bits], i) => keygen(path.join(dir, `upper/etc/ssh/test_key_${i}`), type, bits));
    const port = await freePort();
    const more = [
      `ListenAddress=127.0.0.1:${port}`,
      ...["PidFile=none", "UsePAM=no", "PasswordAuthentication=no", "PermitRootLogin=prohibit-password"],
      ...["LogLevel=DEBUG1", "StrictModes=no", ...(options.options ?? [])],
    ];
    const command = [
      ...["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null"],
      ...wanted.flatMap((_, i) => ["-h", `/etc/ssh/test_key_${i}`]),
      ...more.flatMap((option) => ["-o", option]),
    ];
    const log = fs.openSync(path.join(dir, "log"), "w");
    const child = spawn(
      "setpriv",
      [
        ...[...UNTIL_THIS_ENDS, "unshare", "--mount", "--pid", "--fork", "--kill-child"],
        ...["sh", "-c", START, "sh", ...command],
      ],
      {
        stdio: ["ignore", log, log],
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LOWER: rootPath(options.root ?? hostRecipe), DIR: dir },
      },
    );
    fs.closeSync(log);
    const server = new RealSshd(dir, child, port, hostKeys, identityFile, release);
    try {
      await server.answers();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** `hostKey`: default its first. */
  endpoint(hostKey = this.hostKeys[0]!): Endpoint {
    return { address: "127.0.0.1", port: this.port, user: "root", hostKey };
  }

  /** What sshd said, with LogLevel DEBUG1. */
  log(): string {
    return fs.readFileSync(path.join(this.dir, "log"), "utf8");
  }

  /** Logins that were tried, by key or otherwise. */
  attempts(): number {
    return this.log().match(/userauth-request for user/g)?.length ?? 0;
  }

  /** A path of the server's root that scripts have written to; below /sys and /proc/sys the folders in their place. */
  path(name: string): string {
    if (name.startsWith("/proc/sys/")) return path.join(this.dir, "proc-sys", name.slice("/proc/sys".length));
    if (name.startsWith("/sys/")) return path.join(this.dir, name);
    return path.join(this.dir, "upper", name);
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill("SIGKILL");
      await ended;
    }
    fs.rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
    this.release();
  }

  private async answers(): Promise<void> {
    for (let tries = 0; tries < 200; tries++) {
      if (this.child.exitCode !== null) break;
      if (await banner(this.port)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`sshd did not start:\n${this.log()}`);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

function banner(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("data", (data) => {
      socket.destroy();
      resolve(data.toString("latin1").startsWith("SSH-"));
    });
    socket.once("error", () => resolve(false));
  });
}
