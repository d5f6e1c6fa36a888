import * as fs from "node:fs";
import * as path from "node:path";
import { SiteError, type Report } from "./types";

/** Placeholder until tools/toolchain and tools/images are there. */
export async function kubernetesBinaries(_report: Report): Promise<readonly string[]> {
  return ["kubeadm", "kubelet", "kubectl"].map((name) => path.join(process.env.KVMESH_BIN ?? missing(), name));
}

export async function containerImages(_root: string, _report: Report): Promise<readonly string[]> {
  const dir = process.env.KVMESH_IMAGES ?? missing();
  return fs
    .readdirSync(dir)
    .filter((name) => name.endsWith(".tar"))
    .sort()
    .map((name) => path.join(dir, name));
}

function missing(): never {
  throw new SiteError("tools/toolchain is not there yet");
}
