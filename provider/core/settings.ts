import * as os from "node:os";
import * as path from "node:path";
import type { Endpoint } from "../transport/transport";
import { z } from "zod";
import { endpoint, owner } from "./check";
import { UNKNOWN } from "./kind";
import type { BreakGlassWord, CheckFailure, ImportSettings } from "./kind";
import { isObject } from "./values";
import type { Properties } from "./values";

/** How this machine authenticates to hosts and machines, how patient it is, and which hosts it knows by name. */
export interface Settings extends ImportSettings {
  /** Absolute path of a private key; none: the SSH agent. */
  readonly identityFile?: string;
  readonly connectTimeoutSeconds: number;
  readonly attempts: number;
  readonly breakGlass?: BreakGlassWord;
}

const NAMES = ["identityFile", "connectTimeoutSeconds", "attempts", "hosts", "cluster", "environment", "breakGlass"];

/**
 * The provider's own configuration. Everything may come as text: the engine hands stack configuration over as strings.
 *
 * @param isDefault the engine's default provider, which `pulumi import` uses: it gets every key of a stack file that begins with
 *   `kvmesh:`, so that keys that are no setting are the program's, and the login is the one of the section ssh.
 */
export function parseSettings(config: Properties, isDefault = false): { settings: Settings; failures: CheckFailure[] } {
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
  const ssh = isDefault ? parsed(config["ssh"]) : undefined;
  const file = config["identityFile"] ?? (isObject(ssh) ? ssh["identityFile"] : undefined);
  if (file !== undefined && (typeof file !== "string" || file === "")) {
    failures.push({ property: "identityFile", reason: "must be the path of a private key file" });
  }
  for (const name of isDefault ? [] : Object.keys(config)) {
    if (![...NAMES, "version", "pluginDownloadURL"].includes(name)) {
      failures.push({
        property: name,
        reason: `is no setting of kvmesh; there are ${NAMES.join(", ")}`,
      });
    }
  }
  const identityFile = typeof file === "string" && file !== "" && file !== UNKNOWN ? expandHome(file) : undefined;
  const hosts = parseHosts(parsed(config["hosts"]), failures);
  const { cluster, environment } = parseOwner(config, failures);
  const breakGlass = isDefault ? undefined : parseBreakGlass(parsed(config["breakGlass"]), failures);
  return {
    settings: { identityFile, connectTimeoutSeconds, attempts, hosts, cluster, environment, breakGlass },
    failures,
  };
}

const breakGlassWord = z.strictObject({
  node: z.string().min(1),
  word: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, "must be letters, digits, '_' and '-'"),
});

function parseBreakGlass(value: unknown, failures: CheckFailure[]): BreakGlassWord | undefined {
  if (value === undefined || value === UNKNOWN) return undefined;
  const result = breakGlassWord.safeParse(value);
  if (result.success) return result.data;
  failures.push({ property: "breakGlass", reason: 'must be a node and a word: { node: "cp-2", word: "INC-4711" }' });
  return undefined;
}

/** Each with its endpoint, as in a stack file; what else it says there is not needed here. */
function parseHosts(value: unknown, failures: CheckFailure[]): ReadonlyMap<string, Endpoint> {
  const hosts = new Map<string, Endpoint>();
  if (value === undefined || value === UNKNOWN) return hosts;
  if (!isObject(value)) {
    failures.push({ property: "hosts", reason: "must be hosts by name, each with its endpoint" });
    return hosts;
  }
  for (const [name, host] of Object.entries(value)) {
    const given = isObject(host) ? host["endpoint"] : undefined;
    const result = endpoint.safeParse(isObject(given) ? withoutComments(given) : given);
    if (result.success) hosts.set(name, result.data);
    else {
      const faults = result.error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`.trim());
      failures.push({ property: `hosts.${name}.endpoint`, reason: faults.join("; ") });
    }
  }
  return hosts;
}

/** A stack file may have a comment behind a host key, as a line of known_hosts has. */
function withoutComments(value: Properties): Properties {
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => {
      if (name === "hostKey" && typeof part === "string") return [name, part.trim().split(/\s+/, 2).join(" ")];
      return [name, isObject(part) ? withoutComments(part) : part];
    }),
  );
}

function parseOwner(config: Properties, failures: CheckFailure[]): Pick<ImportSettings, "cluster" | "environment"> {
  const result = owner
    .pick({ cluster: true, environment: true })
    .partial()
    .safeParse({ cluster: known(config["cluster"]), environment: known(config["environment"]) });
  if (result.success) return result.data;
  for (const {
    path: [name],
    message,
  } of result.error.issues)
    failures.push({ property: String(name), reason: message });
  return {};
}

function known(value: unknown): unknown {
  return value === UNKNOWN ? undefined : value;
}

/** An object of the stack file comes as JSON. */
function parsed(value: unknown): unknown {
  if (typeof value !== "string" || value === UNKNOWN) return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}

function expandHome(file: string): string {
  return path.resolve(file === "~" || file.startsWith("~/") ? path.join(os.homedir(), file.slice(1)) : file);
}
