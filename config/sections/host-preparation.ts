import { z } from "zod";
import { fail, type Draft, type Findings } from "../draft";
import * as field from "../fields";
import type { Immutable } from "../immutable";
import { hugepagesOf } from "../preparation";
import { formatBytes, type Bytes } from "../units";
import type { HostSpec } from "./hosts";

/** `hosts.<host>.prepare`: done once and again whenever it changes; taken back when it is no longer there (packages stay). */
export const schema = z
  .strictObject({
    packages: field.flag("install libvirt, QEMU and what else machines need there; Debian and Ubuntu").default(false),
    hugepages: z
      .strictObject({
        size: field.bytes("size of a page: `2MiB` or `1GiB`"),
        count: field.count(
          "pages to set aside on each NUMA node; they count in the ledger before they are there",
          1,
          1_000_000,
        ),
      })
      .meta({ description: "hugepages to set aside" })
      .optional(),
    isolateCpus: field.flag("take all CPUs but the housekeeping ones from the kernel's scheduler").default(false),
    sysctl: z
      .record(
        z.string().regex(/^[A-Za-z0-9_][\w./-]*$/, "a sysctl's name is such as vm.swappiness"),
        z
          .union([z.int(), z.string().regex(/^[^\p{Cc}\s][^\p{Cc}]*$/u, "give one line of text")])
          .transform((value) => String(value)),
      )
      .meta({ description: "kernel settings, by name" })
      .default({}),
    reboot: z
      .enum(["never", "when-needed"])
      .meta({
        description:
          "`never`: what waits for a boot is only said; `when-needed`: the host is booted for it, while no machine runs there",
      })
      .default("never"),
  })
  .meta({
    description: "what `up` makes the host into, over SSH, before anything else is done there: [hosts.md](hosts.md)",
  });

export type PreparationSpec = Immutable<z.output<typeof schema>>;

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** Hosts that are prepared: by OpenSSH, and so that a host still works afterwards. */
export function check(draft: Draft, findings: Findings): void {
  const prepared = draft.hosts.filter(({ prepare }) => prepare !== undefined);
  for (const host of prepared) {
    checkWords(host, findings);
    checkPages(host, findings);
    checkIsolation(host, draft, findings);
    for (const key of Object.keys(host.prepare?.sysctl ?? {})) {
      if (/^vm[./]nr_(overcommit_)?hugepages/.test(key))
        fail(
          findings,
          ["hosts", host.name, "prepare", "sysctl", key],
          host.prepare?.sysctl[key],
          "give prepare.hugepages: it counts them in the ledger, too",
        );
    }
  }
  const { identityFile } = draft.ssh ?? {};
  if (prepared.length > 0 && identityFile !== undefined && /["$%\n\r]/.test(identityFile))
    fail(
      findings,
      ["ssh", "identityFile"],
      identityFile,
      'hosts are prepared by OpenSSH: give a path without ", $ and %',
    );
}

/** They become words of an ssh_config, which knows no quoting for all of them. */
function checkWords({ name, endpoint }: HostSpec, findings: Findings): void {
  const servers = [
    { at: ["endpoint"], server: endpoint },
    ...(endpoint.bastion === undefined ? [] : [{ at: ["endpoint", "bastion"], server: endpoint.bastion }]),
  ];
  for (const { at, server } of servers) {
    for (const key of ["address", "user"] as const) {
      if (/^[\w.:-]+$/.test(server[key])) continue;
      const message = "a host that is prepared is reached by OpenSSH: give letters, digits, ., :, _ and - only";
      fail(findings, ["hosts", name, ...at, key], server[key], message);
    }
  }
}

function checkPages(host: HostSpec, findings: Findings): void {
  const { name, facts, prepare } = host;
  const planned = prepare?.hugepages;
  if (planned === undefined) return;
  const at = ["hosts", name, "prepare", "hugepages"];
  if (planned.size !== 2 * MIB && planned.size !== GIB)
    fail(findings, [...at, "size"], formatBytes(planned.size), "give 2MiB or 1GiB, the sizes of x86");
  for (const { node, bytes } of facts.memory) {
    const pages = hugepagesOf(host).filter((entry) => entry.node === node);
    const taken = pages.reduce((sum, { sizeBytes, count }) => sum + sizeBytes * count, 0);
    if (taken <= bytes - GIB) continue;
    const message = `pages of ${formatBytes(taken as Bytes)} in all would leave less than 1GiB of the ${(bytes / GIB).toFixed(1)} GiB of NUMA node ${node}: give fewer`;
    fail(findings, [...at, "count"], planned.count, message);
    return;
  }
}

function checkIsolation({ name, housekeeping, prepare }: HostSpec, draft: Draft, findings: Findings): void {
  if (prepare?.isolateCpus !== true) return;
  const at = ["hosts", name, "prepare", "isolateCpus"];
  if (housekeeping.length === 0)
    fail(findings, at, true, "all CPUs would be isolated and none left for the host: give housekeeping CPUs");
  const shared = draft.pools.find(
    (pool) => pool.source === "hosts" && pool.cpu === "shared" && pool.hosts.includes(name),
  );
  if (shared !== undefined)
    fail(
      findings,
      at,
      true,
      `pool ${shared.name} has shared CPUs, and the kernel spreads no load over isolated ones: make it dedicated, or leave this out`,
    );
}
