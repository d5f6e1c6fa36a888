import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { writeWhole } from "./files";

/** Folders that the quickstart works in. */
export interface Places {
  readonly checkout: string;
  /** Backend, passphrase, kubeconfig, reports, the site: everything but the cache and the stack file. */
  readonly data: string;
}

/**
 * The quickstart's own Pulumi settings: a file backend, a passphrase and a PULUMI_HOME in the data folder,
 * so that a login that the user has elsewhere stays as it is.
 */
export interface Session {
  /** Environment for the Pulumi CLI. */
  readonly env: NodeJS.ProcessEnv;
  /** Variables that a shell needs for the same, without PATH. */
  readonly variables: Readonly<Record<string, string>>;
  readonly kubeconfig: string;
  readonly reportFolder: string;
}

export function openSession(dataFolder: string, toolchain: NodeJS.ProcessEnv): Session {
  const folder = (name: string): string => {
    const full = path.join(dataFolder, name);
    fs.mkdirSync(full, { recursive: true, mode: 0o700 });
    return full;
  };
  const passphraseFile = path.join(folder("."), "passphrase");
  if (!fs.existsSync(passphraseFile)) {
    writeWhole(passphraseFile, `${randomBytes(24).toString("base64url")}\n`, 0o600);
  }
  const kubeconfig = path.join(dataFolder, "kubeconfig");
  const variables = {
    PULUMI_HOME: folder("pulumi-home"),
    PULUMI_BACKEND_URL: `file://${folder("state")}`,
    PULUMI_CONFIG_PASSPHRASE_FILE: passphraseFile,
    KUBECONFIG: kubeconfig,
  };
  return { env: { ...toolchain, ...variables }, variables, kubeconfig, reportFolder: folder("report") };
}

export interface PulumiResult {
  readonly code: number;
  readonly stdout: string;
}

/** Runs the Pulumi CLI in the checkout. `show`: its output goes to the terminal as it comes. */
export async function pulumi(
  session: Session,
  cwd: string,
  args: readonly string[],
  show: boolean,
): Promise<PulumiResult> {
  return new Promise((resolve, reject) => {
    const child = spawn("pulumi", [...args, "--non-interactive"], {
      cwd,
      env: session.env,
      stdio: ["ignore", "pipe", show ? "inherit" : "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      stdout += chunk.toString();
      if (show) process.stdout.write(chunk);
    });
    child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code !== 0 && !show) process.stderr.write(stderr);
      resolve({ code: code ?? 1, stdout });
    });
  });
}
