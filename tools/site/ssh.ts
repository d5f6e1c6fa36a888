import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { run, sleep, type RunResult } from "./run";
import { type Report, type SiteEndpoint, SiteError } from "./types";

/** What OpenSSH looks a server's key up under. */
export function knownHostsLine(endpoint: SiteEndpoint): string {
  const name = endpoint.port === 22 ? endpoint.address : `[${endpoint.address}]:${endpoint.port}`;
  return `${name} ${endpoint.hostKey}`;
}

/** ssh_config of the site, for people: `ssh -F <file> host`. */
export function sshConfig(
  identityFile: string,
  knownHosts: string,
  hosts: Readonly<Record<string, SiteEndpoint>>,
): string {
  const entries = Object.entries(hosts).map(
    ([name, at]) => `Host ${name}\n  HostName ${at.address}\n  Port ${at.port}\n  User ${at.user}\n`,
  );
  const common = `Host *\n  IdentityFile "${identityFile}"\n  IdentitiesOnly yes\n  UserKnownHostsFile "${knownHosts}"\n  StrictHostKeyChecking yes\n`;
  return [...entries, common].join("\n");
}

/** Writes known_hosts and ssh_config of the site into `dir`. */
export function writeSshFiles(dir: string, identityFile: string, hosts: Readonly<Record<string, SiteEndpoint>>): void {
  const knownHosts = path.join(dir, "known_hosts");
  fs.writeFileSync(
    knownHosts,
    Object.values(hosts)
      .map((at) => `${knownHostsLine(at)}\n`)
      .join(""),
    { mode: 0o600 },
  );
  fs.writeFileSync(path.join(dir, "ssh_config"), sshConfig(identityFile, knownHosts, hosts), { mode: 0o600 });
}

/** Runs a command on one of the site's machines, its host key checked. */
export async function ssh(dir: string, name: string, command: string, timeoutMs = 30_000): Promise<RunResult> {
  const options = ["-F", path.join(dir, "ssh_config"), "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"];
  return run("ssh", [...options, name, command], { timeoutMs, allowFailure: true });
}

/** Waits for the SSH banner, then logs in once. */
export async function waitForSsh(
  dir: string,
  name: string,
  at: SiteEndpoint,
  timeoutMs: number,
  report: Report,
): Promise<void> {
  const started = Date.now();
  let said = started;
  while (!(await hasBanner(at.address, at.port))) {
    if (Date.now() - started > timeoutMs) {
      throw new SiteError(`${name} (${at.address}:${at.port}) shows no SSH server after ${timeoutMs / 1000} s`);
    }
    if (Date.now() - said >= 5_000) {
      said = Date.now();
      report(`  waiting for SSH on ${name}: ${Math.round((said - started) / 1000)} s of ${timeoutMs / 1000} s`);
    }
    await sleep(100);
  }
  const login = await ssh(dir, name, "true");
  if (login.code !== 0)
    throw new SiteError(`login on ${name} (${at.address}:${at.port}) failed: ${login.stderr.trim()}`);
}

/** Whether an SSH server greets within a second; a mere connect proves nothing across a bridge. */
export function hasBanner(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: address, port });
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_000, () => finish(false));
    socket.on("error", () => finish(false));
    socket.on("data", (data) => finish(data.toString("latin1").startsWith("SSH-")));
  });
}
