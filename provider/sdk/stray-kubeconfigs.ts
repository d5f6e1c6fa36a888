import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

/**
 * Removes this user's copies of a kubeconfig that pulumi-kubernetes has left in the temporary folder: it writes one whenever its provider is
 * configured (`kubeconfig<digits>`, mode 0600, for Helm's settings), uses it for nothing afterwards, and never removes it
 * (pulumi-kubernetes 4.25, provider/pkg/provider, writeKubeconfigToFile). Known by the administrator's key in it; what is somebody else's stays.
 */
export function removeStrayKubeconfigs(kubeconfig: string, folder = os.tmpdir()): void {
  const key = /client-key-data: *(\S+)/.exec(kubeconfig)?.[1];
  if (key === undefined) return;
  for (const name of fs.readdirSync(folder)) {
    if (!/^kubeconfig\d+$/.test(name)) continue;
    const file = path.join(folder, name);
    try {
      if (fs.statSync(file).uid === process.getuid?.() && fs.readFileSync(file, "utf8").includes(key)) fs.rmSync(file);
    } catch {
      // It is another's, or another run of ours was quicker.
    }
  }
}
