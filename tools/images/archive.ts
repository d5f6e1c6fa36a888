import { createHash } from "node:crypto";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { writeTar, type Entry } from "./tar";

export interface ImageConfig {
  readonly ref: string;
  readonly entrypoint: readonly string[];
  /** As in a Dockerfile's USER; root when absent. */
  readonly user?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A layer that is on disk, uncompressed. */
export interface Layer {
  readonly file: string;
  /** SHA-256, hexadecimal: the layer's diff ID. */
  readonly sha256: string;
}

const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** Images carry no time of their own: the same content is the same image. */
const created = "1970-01-01T00:00:00Z";

/** Writes an image as `docker save` does, which `ctr images import` and every registry tool reads. */
export async function writeImage(target: string, image: ImageConfig, layers: readonly Layer[]): Promise<void> {
  const config = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    created,
    config: {
      Entrypoint: image.entrypoint,
      ...(image.user ? { User: image.user } : {}),
      Env: [`PATH=${searchPath}`, ...Object.entries(image.env ?? {}).map(([name, value]) => `${name}=${value}`)],
      WorkingDir: "/",
    },
    rootfs: { type: "layers", diff_ids: layers.map((layer) => `sha256:${layer.sha256}`) },
    history: layers.map(() => ({ created, created_by: "kvmesh" })),
  });
  const configFile = `${createHash("sha256").update(config).digest("hex")}.json`;
  const layerFile = (layer: Layer): string => `${layer.sha256}/layer.tar`;
  const manifest = [{ Config: configFile, RepoTags: [image.ref], Layers: layers.map(layerFile) }];
  const entries: Entry[] = [
    { path: "manifest.json", kind: "file", data: JSON.stringify(manifest) },
    { path: configFile, kind: "file", data: config },
    ...layers.map((layer): Entry => ({ path: layerFile(layer), kind: "file", mode: 0o644, from: layer.file })),
  ];
  const part = `${target}.${process.pid}.part`;
  try {
    await fs.mkdir(path.dirname(target), { recursive: true });
    await writeTar(part, entries);
    await fs.rename(part, target);
  } finally {
    await fs.rm(part, { force: true });
  }
}

/** What every image has below its own files: the folders and files that programs take for granted. */
export function skeleton(): Entry[] {
  const dirs = "dev etc proc run sys usr usr/bin usr/lib usr/lib64 usr/local usr/local/bin usr/sbin var var/lib";
  const file = (name: string, data: string): Entry => ({ path: name, kind: "file", data });
  return [
    ...dirs.split(" ").map((dir): Entry => ({ path: dir, kind: "dir" })),
    { path: "tmp", kind: "dir", mode: 0o1777 },
    ...["bin", "lib", "lib64", "sbin"].map((dir): Entry => ({ path: dir, kind: "link", target: `usr/${dir}` })),
    { path: "var/run", kind: "link", target: "/run" },
    file("etc/passwd", "root:x:0:0:root:/root:/sbin/nologin\nistio-proxy:x:1337:1337::/:/sbin/nologin\n"),
    file("etc/group", "root:x:0:\nistio-proxy:x:1337:\n"),
    file("etc/nsswitch.conf", "hosts: files dns\n"),
  ];
}

/** The folders above a file that the skeleton doesn't have. */
export function parents(file: string): Entry[] {
  const known = new Set(skeleton().map((entry) => entry.path));
  const parts = file.split("/").slice(0, -1);
  return parts
    .map((_, index) => parts.slice(0, index + 1).join("/"))
    .filter((dir) => !known.has(dir))
    .map((dir): Entry => ({ path: dir, kind: "dir" }));
}
