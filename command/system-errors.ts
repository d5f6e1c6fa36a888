import * as fs from "node:fs";
import * as os from "node:os";

/** An error and what caused it, outermost first; an AggregateError's first one stands for all. */
export function causesOf(error: unknown): readonly Error[] {
  const chain: Error[] = [];
  for (let at = error; at instanceof Error && !chain.includes(at);) {
    chain.push(at);
    at = at.cause ?? (at instanceof AggregateError ? at.errors[0] : undefined);
  }
  return chain;
}

/** Whether the operating system refused something: Node.js names the call that failed. */
export function isSystemError(error: Error): error is NodeJS.ErrnoException {
  const { code, syscall, errno } = error as NodeJS.ErrnoException;
  return typeof code === "string" && (syscall !== undefined || errno !== undefined || /^UND_ERR/.test(code));
}

const NETWORK =
  "Check the network and the proxy settings (HTTPS_PROXY, NO_PROXY); `npm run doctor` shows what is reachable.";

/** What the system's error means, for a person: what was refused, where, and what to do. */
export function systemMessage(error: NodeJS.ErrnoException): string {
  const { code = "", syscall = "", path: file } = error;
  const where = file ?? "a file";
  const [command] = /^spawn (.+)$/.exec(syscall)?.slice(1) ?? [];
  if (command !== undefined) return spawnMessage(command, code, error.message);
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return `no space left${file === undefined ? "" : ` for ${file}`}: free some, then run it again.\n${freeSpace()}`;
    case "EROFS":
      return `${where} is on a read-only file system: mount it writable, or name another place (${PLACES})`;
    case "EACCES":
    case "EPERM":
      return `no permission: ${syscall} ${file ?? ""}`.trimEnd() + `. ${PERMISSION}`;
    case "ENOENT":
      return `${where} is not there`;
    case "EISDIR":
      return `${where} is a folder where a file is wanted`;
    case "ENOTDIR":
      return `${where}: something on this path is a file where a folder is wanted`;
    case "EADDRINUSE": {
      const { address = "this computer", port = "" } = error as { address?: string; port?: number };
      return `port ${port} of ${address} is in use: end what listens there (\`ss -ltnp\` names it)`;
    }
    case "EMFILE":
    case "ENFILE":
      return "too many open files: raise the limit (`ulimit -n 65536`), then run it again";
    case "ENOMEM":
      return "no memory left: end what takes it, then run it again; `npm run doctor` shows what is needed";
    default:
      if (/^(ECONN|ENOTFOUND|EAI_|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|UND_ERR)/.test(code)) {
        return `the network failed: ${error.message}. ${NETWORK}`;
      }
      return `${error.message}${file === undefined || error.message.includes(file) ? "" : ` (${file})`}`;
  }
}

const PLACES = "KVMESH_CACHE for what is kept, KVMESH_DATA for what runs";
const PERMISSION = `Run it as the user who owns that place, or name another one (${PLACES})`;

function spawnMessage(command: string, code: string, message: string): string {
  if (code === "ENOENT") return `the command ${command} is not installed, or the folder that it is to run in is gone`;
  if (code === "EACCES") return `the command ${command} may not be run: is its file system mounted noexec?`;
  return `the command ${command} could not be started: ${message}`;
}

/** Of the places that are written to: the one that is full is seen at once. */
function freeSpace(): string {
  const { KVMESH_CACHE, KVMESH_DATA } = process.env;
  const places = [KVMESH_CACHE, KVMESH_DATA, os.homedir(), os.tmpdir(), process.cwd()];
  const lines = places.flatMap((place) => {
    try {
      if (!place) return [];
      const { bavail, bsize, ffree, files } = fs.statfsSync(place);
      const nodes = files > 0 && ffree === 0 ? ", and no inode is free" : "";
      return [`  ${place}: ${Math.floor((bavail * bsize) / 2 ** 20)} MiB free${nodes}`];
    } catch {
      return [];
    }
  });
  return [...new Set(lines)].join("\n");
}
