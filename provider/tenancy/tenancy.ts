import { z } from "zod";
import { CLAIMS } from "../blockdevice/scripts";
import { absolutePath, checkWith, endpoint, name, owner } from "../core/check";
import { changesOf, hostEffect } from "../core/diff";
import { UserError } from "../core/kind";
import type { Context, Kind } from "../core/kind";
import { parseDomainXml } from "../domain/seen";
import { seedPath, serialLogPath } from "../domain/xml";
import { formatCpus } from "../libvirt/cpulist";
import { isOurs } from "../libvirt/mark";
import type { Mark } from "../libvirt/mark";
import { LEASES, sectionsOf } from "../libvirt/script";
import { parseSidecar } from "../libvirt/storage";
import { reportFrom } from "../lvm/report";
import { taggedFrom } from "../lvm/tags";
import { parseNetworkXml } from "../network/xml";
import { where } from "../transport/errors";
import { lookScript } from "./scripts";

const args = z.strictObject({
  host: endpoint,
  owner,
  storage: absolutePath,
  machines: z.array(name).transform((names) => [...names].sort()),
});

type TenancyInputs = z.infer<typeof args>;

/** Something on the host that carries this stack's mark. */
interface Left {
  /** For a person: "machine web-0 (running)". */
  readonly what: string;
  /** The machine that it is for; undefined: it is shared by all of the host. */
  readonly machine?: string;
  /** A disk that a destroy left because it was told to. */
  readonly kept: boolean;
  /** Commands that remove it. */
  readonly remove: string;
}

/**
 * That the stack is on a host at all. Everything of the host depends on it, so that its delete is the last: it fails while anything with the
 * stack's mark is left, which then no state knows of.
 */
export const tenancyKind: Kind<TenancyInputs, object> = {
  token: "kvmesh:index:Tenancy",
  args,
  outputs: {},
  check: checkWith(args),
  diff: (olds, news) =>
    changesOf<TenancyInputs>(olds, news, {
      host: hostEffect(olds, news),
      owner: "record",
      storage: "record",
      machines: "record",
    }),

  create: (_ctx, { owner: { project, stack } }) => Promise.resolve({ id: `${project}/${stack}`, outputs: {} }),

  async read(ctx, _id, known) {
    if (!known)
      throw new UserError("a tenancy can't be imported: `pulumi up` makes it, and changes nothing on the host");
    const left = await look(ctx, known, false);
    const orphans = left.filter(
      ({ machine, kept }) => !kept && machine !== undefined && !known.machines.includes(machine),
    );
    if (orphans.length > 0)
      ctx.warn(
        `${where(known.host)}: with this stack's mark, and of no machine that it declares here: ${listed(orphans)}. ` +
          `Declare the machine again, and \`pulumi up\` takes it over; or import it (docs/import.md); or, if it may go for good, on the host: ${commands(orphans)}`,
      );
    return { inputs: known, outputs: {} };
  },

  update: () => Promise.resolve({}),

  async delete(ctx, _id, state) {
    const left = await look(ctx, state, true);
    const kept = left.filter((thing) => thing.kept);
    if (kept.length > 0) ctx.warn(`${where(state.host)}: kept, as declared: ${listed(kept)}`);
    const orphans = left.filter((thing) => !thing.kept);
    if (orphans.length === 0) return;
    const { project, stack } = state.owner;
    throw new UserError(
      `${where(state.host)}: of stack ${project}/${stack} there is left what its state does not know: ${listed(orphans)}. ` +
        "Run `pulumi up`, which takes over what the program declares, or import it (docs/import.md), and destroy again; " +
        `or, if it may go for good, on the host: ${commands(orphans)}; then destroy again`,
    );
  },
};

/** All that carries the stack's mark, machines first. */
async function look(ctx: Context, { host, owner, storage }: TenancyInputs, lock: boolean): Promise<Left[]> {
  const script = (nonce: string): string => lookScript({ storage, nonce, lock });
  const doing = `looking for what stack ${owner.project}/${owner.stack} has here`;
  const sections = await sectionsOf(ctx, host, doing, script, { timeoutMs: 360_000 });
  const ours = (mark: Mark | undefined): boolean => isOurs(mark, owner);
  const text = (name: string): string => sections.get(name) ?? "";
  const still = new Set(text("still").split(/\s+/));
  const left: Left[] = [];
  for (const [section, said] of sections) {
    const [kind = ""] = section.split(" ", 1);
    const it = section.slice(kind.length + 1);
    if (kind === "machine") {
      const [state = ""] = said.split("\n", 1);
      const xml = said.slice(state.length).trim();
      // Undefined since it was listed; what is there and can't be read may be ours.
      if (xml === "" && !still.has(it)) continue;
      if (xml === "") throw new UserError(`${where(host)}: ${doing}: libvirt shows no definition of the machine ${it}`);
      const { name, mark } = parseDomainXml(xml);
      if (!ours(mark)) continue;
      const stop = state === "shut off" ? "" : `virsh destroy ${name}; `;
      const files = [seedPath({ name, storage }), serialLogPath({ name, storage })].join(" ");
      left.push({
        what: `machine ${name} (${state})`,
        machine: name,
        kept: false,
        remove: `${stop}virsh undefine ${name} --nvram; rm -f ${files}`,
      });
    } else if (kind === "network" && said !== "") {
      const { name, mark } = parseNetworkXml(said);
      if (ours(mark))
        left.push({
          what: `network ${name}`,
          kept: false,
          remove: `virsh net-destroy ${name}; virsh net-undefine ${name}`,
        });
    } else if (kind === "file") {
      const sidecar = parseSidecar(said);
      if (!sidecar || !ours(sidecar.mark)) continue;
      const { kept = false, mark } = sidecar;
      left.push({ what: it, machine: machineOf(mark), kept, remove: `rm ${it} ${it}.kvmesh.json` });
    }
  }
  return [
    ...left,
    ...volumes(text("volumes"), ours),
    ...leases(text("leases"), owner),
    ...claims(text("devices"), owner),
  ];
}

function volumes(report: string, ours: (mark: Mark) => boolean): Left[] {
  return (report === "" ? [] : reportFrom(report)).flatMap(({ volumeGroup, name, tags }): Left[] => {
    const tagged = taggedFrom(tags);
    if (!tagged || !ours(tagged.mark)) return [];
    const { mark, condition } = tagged;
    const what = `/dev/${volumeGroup}/${name}`;
    return [
      { what, machine: machineOf(mark), kept: condition === "kept", remove: `lvremove -y ${volumeGroup}/${name}` },
    ];
  });
}

/** One for each machine. */
function leases(text: string, owner: TenancyInputs["owner"]): Left[] {
  const cpus = new Map<string, number[]>();
  for (const [cpu, machine = ""] of fieldsOf(text, owner))
    cpus.set(machine, [...(cpus.get(machine) ?? []), Number(cpu)]);
  return [...cpus].map(([machine, held]) => ({
    what: `the lease of CPUs ${formatCpus(held)} to ${machine}`,
    machine,
    kept: false,
    remove: `rm ${held.map((cpu) => `${LEASES}/cpu-${cpu}`).join(" ")}`,
  }));
}

/** Block devices that are claimed; one that was given back is nobody's. */
function claims(text: string, owner: TenancyInputs["owner"]): Left[] {
  return fieldsOf(text, owner).flatMap(([claim = "", machine = "", disk, , state, device]) =>
    state === "released"
      ? []
      : [
          {
            what: `the claim of ${device} for the disk ${disk} of ${machine}`,
            machine,
            kept: false,
            remove: `rm ${CLAIMS}/${claim}`,
          },
        ],
  );
}

/** Lines of "name project stack machine …" (tabs) of this stack, without project and stack. */
function fieldsOf(text: string, owner: TenancyInputs["owner"]): string[][] {
  return text
    .split("\n")
    .map((line) => line.split("\t"))
    .filter(([, project, stack, machine]) => machine && project === owner.project && stack === owner.stack)
    .map(([name = "", , , ...rest]) => [name, ...rest]);
}

/** The disk "web-0" or "web-0.etcd" is web-0's; an image is nobody's. */
function machineOf({ urn }: Mark): string | undefined {
  const [type = "", resource = ""] = urn.split("::").slice(-2);
  return type.endsWith(":Volume") ? resource.split(".", 1)[0] : undefined;
}

function listed(things: readonly Left[]): string {
  return things.map(({ what }) => what).join(", ");
}

function commands(things: readonly Left[]): string {
  return things.map(({ remove }) => remove).join("; ");
}
