import * as fs from "node:fs/promises";
import * as path from "node:path";
import { outputOf } from "../toolchain/run";
import type { Entry } from "./tar";

const libraries = "usr/lib/x86_64-linux-gnu";
/** Parts of glibc that Envoy, built for old and new systems, still names one by one. */
const glibc = ["libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0", "librt.so.1"];

/**
 * iptables, nft, conntrack and what they load, from a Debian root: a layer for the images that change packet filters
 * (kube-proxy, flannel, Istio's proxy). Sorted, so that the layer depends on the files alone.
 */
export async function networkTools(rootfs: string): Promise<Entry[]> {
  const found = new Map<string, Entry>();
  const sbin = await fs.readdir(path.join(rootfs, "usr/sbin"));
  const wanted = sbin.filter((name) => /^ip6?tables/.test(name) || name === "nft" || name === "conntrack");
  if (!wanted.includes("iptables") || !wanted.includes("nft") || !wanted.includes("conntrack")) {
    throw new Error(
      `${rootfs} lacks iptables, nft or conntrack in usr/sbin: install the packages iptables nftables conntrack there`,
    );
  }
  for (const name of wanted) await add(rootfs, `usr/sbin/${name}`, found);
  const plugins = `${libraries}/xtables`; // iptables' matches and targets, loaded by name
  for (const name of await fs.readdir(path.join(rootfs, plugins))) await add(rootfs, `${plugins}/${name}`, found);
  for (const library of await linkedLibraries(rootfs, [...found.values()])) await add(rootfs, library, found);
  for (const library of glibc) await add(rootfs, `${libraries}/${library}`, found);
  const certificates = "etc/ssl/certs/ca-certificates.crt";
  if (await isThere(path.join(rootfs, certificates))) await add(rootfs, certificates, found);
  const entries = [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  const dirs = new Set(entries.flatMap((entry) => ancestors(entry.path)));
  const skeleton = new Set(["etc", "usr", "usr/bin", "usr/lib", "usr/lib64", "usr/sbin"]);
  const folders = [...dirs].filter((dir) => !skeleton.has(dir)).sort();
  return [...folders.map((dir): Entry => ({ path: dir, kind: "dir" })), ...entries];
}

/** Adds a file of the root with all that it points to. */
async function add(rootfs: string, file: string, found: Map<string, Entry>): Promise<void> {
  const name = merged(file);
  if (found.has(name)) return;
  const there = path.join(rootfs, name);
  const stat = await fs.lstat(there);
  if (stat.isDirectory()) return;
  if (stat.isSymbolicLink()) {
    let target = await fs.readlink(there);
    if (target.startsWith("/etc/alternatives/")) target = await fs.readlink(path.join(rootfs, target));
    found.set(name, { path: name, kind: "link", target });
    await add(rootfs, path.posix.join(target.startsWith("/") ? "" : path.posix.dirname(name), target), found);
    return;
  }
  found.set(name, { path: name, kind: "file", mode: stat.mode & 0o777, from: there });
}

/** All libraries that programs and libraries of the root link against, by the root's own loader. */
async function linkedLibraries(rootfs: string, entries: readonly Entry[]): Promise<Set<string>> {
  const programs: string[] = [];
  for (const entry of entries) {
    if ("from" in entry && (await isElf(entry.from))) programs.push(`/${entry.path}`);
  }
  const text = await outputOf("chroot", [rootfs, "ldd", ...programs], { timeoutMs: 120_000 });
  if (text === undefined) throw new Error(`ldd failed in ${rootfs}: it needs to run as root, in a whole Debian root`);
  return new Set([...text.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1]!));
}

/** The one name of a file where /bin, /sbin and /lib are links into /usr; without a leading slash. */
export function merged(file: string): string {
  const name = file.replace(/^\/+/, "");
  return /^(bin|sbin|lib|lib64)\//.test(name) ? `usr/${name}` : name;
}

async function isElf(file: string): Promise<boolean> {
  const handle = await fs.open(file);
  try {
    const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.toString("latin1") === "\x7fELF";
  } finally {
    await handle.close();
  }
}

async function isThere(file: string): Promise<boolean> {
  return fs.access(file).then(
    () => true,
    () => false,
  );
}

function ancestors(file: string): string[] {
  const parts = file.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}
