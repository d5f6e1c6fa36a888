import { execFile } from "node:child_process";
import { ensureTools, type Report } from "../toolchain";

export interface Cluster {
  /** kubectl with its output; rejects with what it said when it ends with another code than 0. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** Parsed JSON of `kubectl get … -o json`. */
  get<T>(args: readonly string[]): Promise<T>;
}

/** @param kubeconfig path of a kubeconfig file */
export async function openCluster(kubeconfig: string, report: Report): Promise<Cluster> {
  const { kubectl: binary } = await ensureTools(["kubectl"], report);
  const kubectl: Cluster["kubectl"] = (args, input) =>
    new Promise((resolve, reject) => {
      const all = [`--kubeconfig=${kubeconfig}`, "--request-timeout=30s", ...args];
      const child = execFile(binary, all, { timeout: 60_000, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
        if (error) reject(new Error(`kubectl ${args.slice(0, 3).join(" ")}: ${stderr.trim() || error.message}`));
        else resolve(stdout);
      });
      child.stdin?.on("error", () => undefined);
      child.stdin?.end(input ?? "");
    });
  return {
    kubectl,
    get: async <T>(args: readonly string[]) => JSON.parse(await kubectl(["get", ...args, "-o", "json"])) as T,
  };
}
