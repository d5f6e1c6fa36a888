import * as fs from "node:fs";
import * as path from "node:path";
import { scriptsDir } from "./cache";
import { emulatedNeeds, ensurePackages } from "./packages";
import { ensureRoot, hostRecipe, rootPath } from "./roots";
import { onPath, run } from "./run";
import type { Report, SiteOptions } from "./types";

const LIMIT_MS = 25_000;

/**
 * Whether a guest really boots with hardware virtualization: /dev/kvm may be there and hang every stock kernel (nested and
 * para-virtualized hosts). A kernel without a root file system panics within seconds and, told so, resets: QEMU then ends.
 * @returns undefined when it booted, else why not
 */
export async function probeKvm(report: Report, options: SiteOptions): Promise<string | undefined> {
  const guest = [
    ...[
      "-accel",
      "kvm",
      "-cpu",
      "host",
      "-m",
      "256",
      "-display",
      "none",
      "-nodefaults",
      "-no-reboot",
      "-serial",
      "stdio",
    ],
    ...["-append", "console=ttyS0 panic=-1 root=/dev/none"],
  ];
  const own = await onPath("qemu-system-x86_64");
  if (!own && !fs.existsSync(rootPath(hostRecipe))) {
    try {
      await ensurePackages(emulatedNeeds, report, options);
      report("/dev/kvm is there: getting QEMU to see whether it works");
      await ensureRoot(hostRecipe, report);
    } catch (error) {
      return `/dev/kvm is there, but no QEMU to try it with: ${(error as Error).message}`;
    }
  }
  const kernel = kernelFile();
  if (kernel === undefined) return "/dev/kvm is there, but no kernel to try it with";
  report("trying whether a guest boots with hardware virtualization");
  const [command, args] = own
    ? ["qemu-system-x86_64", ["-kernel", kernel, ...guest]]
    : [
        "unshare",
        ["--mount", "/bin/bash", path.join(scriptsDir(), "kvm-guest.sh"), rootPath(hostRecipe), kernel, ...guest],
      ];
  const { code, stdout, stderr } = await run(command, args, {
    allowFailure: true,
    timeoutMs: LIMIT_MS,
    // QEMU pauses a guest that the processor can't run, and waits for a person.
    stopOn: /KVM internal error[^]*\n/,
    what: "test guest",
    report,
  });
  return verdict(code, stdout, stderr);
}

/** Reads the guest's end: a kernel that got as far as looking for its root file system has booted. */
export function verdict(code: number, stdout: string, stderr: string): string | undefined {
  if (code === 0 && stdout.includes("Linux version") && stdout.includes("VFS:")) return undefined;
  const said = stderr.split("\n").find((line) => /emulation failure|KVM|kvm|failed/.test(line));
  if (code === 124) return `/dev/kvm is there, but a guest hangs on it${said ? ` (${said.trim()})` : ""}`;
  return `/dev/kvm is there, but a guest does not boot with it${said ? ` (${said.trim()})` : ""}`;
}

/** This computer's own kernel, or the one in a node root of the cache. */
function kernelFile(): string | undefined {
  const roots = path.dirname(rootPath(hostRecipe));
  const folders = [
    "/boot",
    ...(fs.existsSync(roots) ? fs.readdirSync(roots).map((root) => path.join(roots, root, "boot")) : []),
  ];
  for (const folder of folders) {
    const kernel = fs.existsSync(folder) && fs.readdirSync(folder).find((name) => name.startsWith("vmlinuz-"));
    if (kernel) return path.join(folder, kernel);
  }
  return undefined;
}
