import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { pipeline } from "node:stream/promises";
import { cacheDir, scriptsDir } from "./cache";
import { key, once } from "./roots";
import { run } from "./run";
import type { Report, SiteImage } from "./types";

export interface BaseImageRecipe {
  /** Root with mke2fs, sfdisk, GRUB and qemu-img. */
  readonly tools: string;
  /** Root that becomes the disk. */
  readonly node: string;
  /** Added to the kernel's command line. */
  readonly kernelArguments: string;
}

/** A generic image (NoCloud seed, grows to its disk) of a node root, with its digest; made once, half a minute. */
export async function ensureBaseImage(report: Report, recipe: BaseImageRecipe): Promise<SiteImage> {
  const script = path.join(scriptsDir(), "base-image.sh");
  const id = key(path.basename(recipe.node), recipe.kernelArguments, fs.readFileSync(script, "utf8"));
  const folder = await once(path.join(cacheDir(), "base-images", id), report, async (partial) => {
    report("making the machines' base image");
    fs.mkdirSync(partial);
    await run("unshare", ["--mount", "/bin/bash", script, recipe.tools, recipe.node, partial, recipe.kernelArguments], {
      what: "base image",
      report,
    });
    for (const name of fs.readdirSync(partial).filter((entry) => entry !== "image.qcow2")) {
      fs.rmSync(path.join(partial, name), { recursive: true, force: true });
    }
    fs.writeFileSync(path.join(partial, "digest"), `sha256:${await sha256(path.join(partial, "image.qcow2"))}\n`);
  });
  return {
    file: path.join(folder, "image.qcow2"),
    digest: fs.readFileSync(path.join(folder, "digest"), "utf8").trim(),
    format: "qcow2",
  };
}

export async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(fs.createReadStream(file), hash);
  return hash.digest("hex");
}
