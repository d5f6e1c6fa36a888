import * as fs from "node:fs";
import { EnvHttpProxyAgent, fetch } from "undici";
import { outputOf } from "../toolchain/run";

/** Where things can come from. Which of them are asked depends on what is missing. */
export type Origin = "releases" | "go" | "npm" | "python" | "debian";

export interface Reached {
  readonly origin: Origin;
  /** What was asked, or who would know: an address, or "pip". */
  readonly asked: string;
  readonly answers: boolean;
}

export interface Routes {
  readonly v4: boolean;
  readonly v6: boolean;
}

const LIMIT_MS = 4_000;

/** Default routes of this computer. */
export function defaultRoutes(read: (file: string) => string = readOrNothing): Routes {
  const v4 = read("/proc/net/route")
    .split("\n")
    .some((line) => {
      const [, destination, , flags, , , , mask] = line.split("\t");
      return destination === "00000000" && mask === "00000000" && (parseInt(flags ?? "0", 16) & 1) === 1;
    });
  const v6 = read("/proc/net/ipv6_route")
    .split("\n")
    // The kernel keeps a rejecting default route on lo for what has no other.
    .some((line) => /^0{32} 00 /.test(line) && !/\slo\s*$/.test(line));
  return { v4, v6 };
}

function readOrNothing(file: string): string {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** Asks each origin for any answer at all, side by side; `releases` are the addresses of official downloads that are wanted. */
export async function reach(origins: ReadonlySet<Origin>, releases: readonly string[]): Promise<readonly Reached[]> {
  const asking: Promise<Reached>[] = [];
  const ask = (origin: Origin, address: Promise<string | undefined>): void => {
    asking.push(
      address.then(async (asked = "") => ({
        origin,
        asked: hostOf(asked),
        answers: asked !== "" && (await hasAnswer(asked)),
      })),
    );
  };
  if (origins.has("releases")) for (const address of releases) ask("releases", Promise.resolve(address));
  if (origins.has("go")) ask("go", goProxy());
  if (origins.has("npm")) ask("npm", outputOf("npm", ["config", "get", "registry"]));
  if (origins.has("debian")) ask("debian", debianSite());
  if (origins.has("python")) asking.push(pip());
  return Promise.all(asking);
}

async function goProxy(): Promise<string | undefined> {
  const set = await outputOf("go", ["env", "GOPROXY"]);
  return set?.split(/[,|]/).find((part) => part.startsWith("http"));
}

async function debianSite(): Promise<string | undefined> {
  const sites = await outputOf("apt-get", ["indextargets", "--format", "$(SITE)"]);
  return sites?.split("\n").find((site) => site.startsWith("http"));
}

/** pip alone knows its index, from its files and variables. */
async function pip(): Promise<Reached> {
  const args = ["-m", "pip", "--timeout", "3", "--retries", "0", "index", "versions", "pip"];
  return {
    origin: "python",
    asked: "pip",
    answers: (await outputOf("python3", args, { timeoutMs: LIMIT_MS * 2 })) !== undefined,
  };
}

/** Any answer will do, a refusal too: somebody is there. */
async function hasAnswer(address: string): Promise<boolean> {
  const agent = new EnvHttpProxyAgent({ connect: { timeout: LIMIT_MS } });
  try {
    await fetch(address, {
      method: "HEAD",
      redirect: "manual",
      dispatcher: agent,
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    return true;
  } catch {
    return false;
  } finally {
    await agent.destroy();
  }
}

function hostOf(address: string): string {
  return URL.canParse(address) ? new URL(address).host : address;
}
