import type { Owner } from "../core/check";
import { UserError } from "../core/kind";
import type { Context } from "../core/kind";
import { quote } from "../core/quote";
import { take } from "../corelease/corelease";
import { requireLease } from "../corelease/scripts";
import { isOurs, markOf } from "../libvirt/mark";
import type { Mark } from "../libvirt/mark";
import { onHost } from "../libvirt/script";
import { inspectFile, sidecarText } from "../libvirt/storage";
import { where } from "../transport/errors";
import type { Endpoint } from "../transport/transport";
import { readMachine } from "./import";
import { inspect } from "./inspect";
import type { DomainInputs } from "./schema";
import { seedDigest } from "./scripts";
import { MARK_NS, markXml } from "./xml";

/** What adopting a machine would do on its host, and what has to be known before. */
export interface Adoption {
  readonly inputs: DomainInputs;
  readonly uuid: string;
  /** True: it has this stack's mark already; leases and disks may still lack it. */
  readonly marked: boolean;
  /** Or paused. */
  readonly running: boolean;
  /** Disk files that get a mark beside them. */
  readonly disks: readonly { readonly path: string; readonly sidecar: string }[];
  /** Disks that no mark can be put beside. */
  readonly unmarkable: readonly string[];
  /** Logical CPUs that it is pinned to: leased to it. */
  readonly cpus: readonly number[];
  /** What kvmesh would drop or change at its next change. */
  readonly unmodelled: readonly string[];
  /** Of the definition that was looked at. */
  readonly digest: string;
}

/** Looks only. Refuses what belongs to another stack, and what is not there. */
export async function planAdoption(ctx: Context, host: Endpoint, machine: string, owner: Owner): Promise<Adoption> {
  // Taken before the look, so that a change in between is seen as one.
  const digest = (await onHost(ctx, host, `looking at machine ${machine}`, digestScript(machine))).trim();
  const seen = await inspect(ctx, host, machine);
  if (!seen) throw new UserError(`${where(host)}: there is no machine ${machine}`);
  const { name, mark } = seen.inactive;
  refuseOther(`${where(host)}: machine ${name}`, mark, owner);
  const { inputs, unmodelled } = await readMachine(ctx, host, owner, seen);
  const files = inputs.disks.filter((disk) => disk.type === "file");
  const disks = [];
  for (const { path } of files) {
    const { exists, sidecar } = await inspectFile(ctx, host, path);
    if (!exists) throw new UserError(`${where(host)}: machine ${name}: its disk ${path} is not there`);
    refuseOther(`${where(host)}: the disk ${path} of machine ${name}`, sidecar?.mark, owner);
    if (!sidecar)
      disks.push({ path, sidecar: sidecarText({ schema: 1, mark: markOf(owner, urnOf(owner, "Volume", name)) }) });
  }
  return {
    ...{ inputs, uuid: seen.uuid, marked: mark !== undefined, running: seen.live !== undefined, disks, unmodelled },
    unmarkable: inputs.disks.filter((disk) => disk.type !== "file").map((disk) => disk.path),
    cpus: inputs.vcpuPins.filter((cpu, i, all) => Number.isInteger(cpu) && all.indexOf(cpu) === i),
    digest,
  };
}

/**
 * Leases first: when another holds one of the CPUs, nothing is done. Then, under the host's lock and only if the machine is still what
 * was looked at, the marks: into its metadata, without a new definition and without a stop, and beside its disks. May run twice.
 */
export async function adopt(ctx: Context, { inputs, uuid, running, disks, cpus, digest }: Adoption): Promise<void> {
  const { host, owner, name, cloudInit } = inputs;
  if (cpus.length > 0) await take(ctx, { host, owner, machine: name, cpus: [...cpus].sort((a, b) => a - b) });
  const xml = markXml({ mark: markOf(owner, urnOf(owner, "Domain", name)), seedDigest: seedDigest(cloudInit), uuid });
  const marks = disks.map(
    ({ path, sidecar }) => `f=${quote(path)}
others=$(v list --all --name | while IFS= read -r d; do
  [ -n "$d" ] && [ "$d" != "$n" ] || continue
  if v domblklist "$d" | grep -qF " $f"; then printf '%s ' "$d"; fi
done)
[ -z "$others" ] || fail "the disk $f is also used by $others"
[ -e "$f.kvmesh.json" ] || { printf %s ${quote(sidecar)} >"$f.kvmesh.json.new"; mv -f "$f.kvmesh.json.new" "$f.kvmesh.json"; }
`,
  );
  await onHost(
    ctx,
    host,
    `adopting machine ${name}`,
    `lock
n=${quote(name)}
${requireLease({ owner, machine: name }, cpus)}
now=$(v dumpxml --inactive "$n" | sha256sum)
[ "$now" = ${quote(digest)} ] || fail 'the machine was changed meanwhile: run again'
${marks.join("")}v metadata "$n" --uri ${quote(MARK_NS)} --key kvmesh --set ${quote(xml)} --config ${running ? "--live " : ""}>/dev/null
`,
  );
}

function digestScript(machine: string): string {
  return `v dumpxml --inactive ${quote(machine)} 2>/dev/null | sha256sum\n`;
}

function urnOf({ stack, project }: Owner, kind: string, name: string): string {
  return `urn:pulumi:${stack}::${project}::kvmesh:index:${kind}::${name}`;
}

function refuseOther(what: string, mark: Mark | undefined, owner: Owner): void {
  if (mark && !isOurs(mark, owner))
    throw new UserError(`${what} belongs to stack ${mark.project}/${mark.stack}: it is left untouched`);
}
