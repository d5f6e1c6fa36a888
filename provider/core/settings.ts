import * as os from "node:os";
import * as path from "node:path";
import { UNKNOWN } from "./kind";
import type { CheckFailure } from "./kind";
import type { Properties } from "./values";

/** How this machine authenticates to hosts and machines, and how patient it is. */
export interface Settings {
  /** Absolute path of a private key; none: the SSH agent. */
  readonly identityFile?: string;
  readonly connectTimeoutSeconds: number;
  readonly attempts: number;
}

/** The provider's own configuration. Numbers may come as text: the engine hands stack configuration over as strings. */
export function parseSettings(config: Properties): { settings: Settings; failures: CheckFailure[] } {
  const failures: CheckFailure[] = [];
  const number = (name: string, fallback: number, most: number): number => {
    const value = config[name] ?? fallback;
    if (value === UNKNOWN) return fallback;
    const parsed = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
    if (typeof parsed === "number" && Number.isInteger(parsed) && parsed >= 1 && parsed <= most) return parsed;
    failures.push({
      property: name,
      reason: `must be a whole number from 1 to ${most}, found ${JSON.stringify(value)}`,
    });
    return fallback;
  };
  const connectTimeoutSeconds = number("connectTimeoutSeconds", 15, 600);
  const attempts = number("attempts", 4, 100);
  const file = config["identityFile"];
  if (file !== undefined && (typeof file !== "string" || file === "")) {
    failures.push({ property: "identityFile", reason: "must be the path of a private key file" });
  }
  for (const name of Object.keys(config)) {
    if (!["identityFile", "connectTimeoutSeconds", "attempts", "version", "pluginDownloadURL"].includes(name)) {
      failures.push({
        property: name,
        reason: "is no setting of kvmesh; there are identityFile, connectTimeoutSeconds and attempts",
      });
    }
  }
  const identityFile = typeof file === "string" && file !== "" && file !== UNKNOWN ? expandHome(file) : undefined;
  return { settings: { identityFile, connectTimeoutSeconds, attempts }, failures };
}

function expandHome(file: string): string {
  return path.resolve(file === "~" || file.startsWith("~/") ? path.join(os.homedir(), file.slice(1)) : file);
}
