import { randomBytes } from "node:crypto";
import { UserError } from "../core/kind";
import { quote } from "../core/quote";
import type { Context } from "../core/kind";
import { where } from "../transport/errors";
import { HOST_LOCK } from "./host-lock";
import type { Endpoint, RunOptions } from "../transport/transport";

/** Leases of CPUs: one file a CPU, one folder a host, whatever storage the machines use. */
export const LEASES = "/var/lib/kvmesh/leases";

/**
 * Every script on a host starts with this: `fail` ends it with a message for people, `v` is virsh, `folder` makes one that QEMU and others can enter.
 * The lock is one for the host: leases and machines change one at a time, so that checking a lease and starting on it are one step. What
 * takes long (copying a disk, waiting for a guest) is done before \`lock\` or after \`unlock\`, so that machines of one host are made side by side.
 */
const PRELUDE = `set -eu
umask 077
${HOST_LOCK}folder() { ( umask 022; mkdir -p "$1" ); }
v() { virsh -q -c qemu:///system "$@"; }
unlock() { exec 9>&-; }
`;

/**
 * Runs a script on a host; its standard output. All of our scripts may run twice, so a broken connection is tried again.
 *
 * @throws UserError with the host, what was being done, and what the script or libvirt said.
 */
export async function onHost(
  ctx: Context,
  at: Endpoint,
  doing: string,
  script: string,
  options: RunOptions = {},
): Promise<string> {
  const result = await ctx.transport.script(at, PRELUDE + script, { idempotent: true, timeoutMs: 360_000, ...options });
  if (result.code === 0) return result.stdout;
  throw new UserError(`${where(at)}: ${doing}: ${said(result.stderr) || `the script ended with ${result.code}`}`);
}

/**
 * Runs a script that prints sections, each after a line of "<nonce> <name>": their texts by name. The nonce is new each time, so that
 * nothing that is printed can be taken for the start of a section.
 */
export async function sectionsOf(
  ctx: Context,
  at: Endpoint,
  doing: string,
  script: (nonce: string) => string,
  options: RunOptions = { timeoutMs: 60_000 },
): Promise<ReadonlyMap<string, string>> {
  const nonce = `@${randomBytes(8).toString("hex")}`;
  const stdout = await onHost(ctx, at, doing, script(nonce), options);
  const parts = stdout.split(`${nonce} `).slice(1);
  return new Map(
    parts.map((part) => {
      const end = part.indexOf("\n");
      return [part.slice(0, end), part.slice(end + 1).trim()];
    }),
  );
}

/**
 * Shell text: one call of virsh with many commands, each one's output in a section of `sectionsOf`. Starting virsh and being let in by
 * libvirtd is most of what a question costs. virsh goes on after a command that failed, and ends with the last one's code.
 */
export function askVirsh(nonce: string, commands: Readonly<Record<string, string>>): string {
  // virsh reads quotes as a shell does, and its \`echo\` ends no line when it is quiet.
  const all = Object.entries(commands).map(
    ([section, command]) => `echo ${quote(`\n${nonce} ${section}\n`)}; ${command}`,
  );
  return `v ${quote(all.join("; "))}`;
}

/** From a script's own words on; without any, all that the tools said. Tools' prefixes are left out. */
function said(stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.trim().replace(/^error: /, ""));
  const own = lines.findIndex((line) => line.startsWith("kvmesh: "));
  const words = lines.slice(Math.max(own, 0)).filter((line) => line !== "");
  return words
    .join("; ")
    .replace(/^kvmesh: /, "")
    .slice(0, 2000);
}
