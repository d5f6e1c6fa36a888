import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { run } from "./run";
import type { Report } from "./types";
import { withLock } from "../toolchain/lock";
import { cacheDir, scriptsDir } from "./cache";

/** A Debian root file system: what is in it decides its name in the cache. */
export interface RootRecipe {
  readonly name: string;
  readonly suite: string;
  readonly packages: readonly string[];
  /** File in scripts/ that mmdebstrap runs at the end, with the root as its argument. */
  readonly hook: string;
}

/** The emulated KVM host: libvirt 11 and QEMU 10 of Debian 13, and the tools that make disk images. */
export const hostRecipe: RootRecipe = {
  name: "host",
  suite: "trixie",
  packages: [
    ...["qemu-system-x86", "qemu-utils", "qemu-block-extra", "ovmf", "libvirt-daemon-system", "libvirt-clients"],
    ...["openssh-server", "openssh-client", "iproute2", "bridge-utils", "dnsmasq-base", "iptables", "nftables"],
    ...["procps", "kmod", "dmidecode", "numactl", "pciutils", "fio", "sudo", "ca-certificates"],
    ...["genisoimage", "xorriso", "e2fsprogs", "fdisk", "lvm2", "dosfstools", "mtools"],
    ...["grub-pc-bin", "grub-efi-amd64-bin", "grub-common"],
  ],
  hook: "host-root.sh",
};

/** A Kubernetes node before Kubernetes: serves as a namespace's root and as a virtual machine's disk. */
export const nodeRecipe: RootRecipe = {
  name: "node-debian",
  suite: "trixie",
  packages: [
    ...[
      "linux-image-cloud-amd64",
      "systemd-sysv",
      "systemd-resolved",
      "dbus",
      "udev",
      "kmod",
      "cloud-init",
      "cloud-guest-utils",
    ],
    ...["openssh-server", "sudo", "qemu-guest-agent", "iproute2", "iputils-ping", "procps", "ca-certificates"],
    ...["containerd", "runc", "containernetworking-plugins", "iptables", "nftables", "conntrack", "socat", "ethtool"],
    ...["e2fsprogs", "fdisk", "zstd", "fio"],
  ],
  hook: "node-root.sh",
};

/** First 16 hex digits of the SHA-256 of JSON: names of things in the cache. */
export function key(...parts: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

/** Folder in the cache of what a recipe makes. */
export function rootPath(recipe: RootRecipe): string {
  const hook = fs.readFileSync(path.join(scriptsDir(), recipe.hook), "utf8");
  return path.join(cacheDir(), "roots", `${recipe.name}-${key(recipe, hook)}`);
}

/** Makes the root by mmdebstrap (one to three minutes, once) or takes it from the cache; returns its folder. */
export async function ensureRoot(recipe: RootRecipe, report: Report): Promise<string> {
  const root = rootPath(recipe);
  return once(root, report, async (partial) => {
    report(
      `making a Debian root for the ${recipe.name.replace("-debian", "")} (${recipe.packages.length} packages and what they need)`,
    );
    await run(
      // What it mounts in the root goes with it, also when it is killed: nothing may ever delete into /proc or /dev.
      "unshare",
      [
        ...["--mount", "--propagation=private", "mmdebstrap"],
        "--variant=minbase",
        `--include=${recipe.packages.join(",")}`,
        ...['--aptopt=Acquire::Languages "none";', "--dpkgopt=force-unsafe-io"],
        ...["man", "locale", "doc"].map((folder) => `--dpkgopt=path-exclude=/usr/share/${folder}/*`),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        `--customize-hook=${path.join(scriptsDir(), recipe.hook)}`,
        recipe.suite,
        partial,
      ],
      { what: `Debian root ${recipe.name}`, report },
    );
  });
}

/** Makes a folder or file of the cache under another name and renames it when it is whole; takes it when it is there. */
export async function once(target: string, report: Report, make: (partial: string) => Promise<void>): Promise<string> {
  if (fs.existsSync(target)) return target;
  const partial = `${target}.partial`;
  const waiting = (holder: string): void => report(`  ${holder} is making ${path.basename(target)}; waiting`);
  return withLock(`${target}.lock`, waiting, async () => {
    if (fs.existsSync(target)) return target;
    // Of a run that was ended in the middle.
    fs.rmSync(partial, { recursive: true, force: true });
    try {
      await make(partial);
      fs.renameSync(partial, target);
      return target;
    } finally {
      fs.rmSync(partial, { recursive: true, force: true });
    }
  });
}
