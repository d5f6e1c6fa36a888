/** Verdicts on what has to be fetched or built: from where, and how long it takes. Pure. */
import type { Check, ToGet } from "./judge";
import type { Look } from "./look";
import type { Origin } from "./network";
import { otherSeconds, secondsFor, type PlannedTool } from "./plan";

const titles: Readonly<Record<Origin, string>> = {
  releases: "official downloads",
  go: "Go modules",
  npm: "npm",
  python: "Python packages",
  debian: "Debian packages",
};

export function judgeTools(look: Look): {
  readonly checks: readonly Check[];
  readonly tools: readonly ToGet[];
  readonly seconds: number;
} {
  const open = new Set(look.reached.filter(({ answers }) => answers).map(({ origin }) => origin));
  const missing = look.plan.tools.filter(({ from }) => from === "missing");
  const chosen = missing.map((tool) => ({ tool, way: wayFor(tool, look, open) }));
  const tools = chosen.flatMap(({ tool: { name, version }, way }): ToGet[] => {
    if (way === undefined) return [];
    const seconds = secondsFor(name, way, look.machine.cpus);
    return [{ name, version, how: way === "go" ? "build" : "download", seconds }];
  });
  const without = chosen.filter(({ way }) => way === undefined).map(({ tool }) => tool);
  const seconds = tools.reduce(
    (sum, tool) => sum + tool.seconds,
    otherSeconds(look.plan, look.kind, look.machine.cpus),
  );
  return {
    checks: [...reachable(look), ...noWay(without, look), ...there(look), ...toGet(tools), ...packages(look, open)],
    tools,
    seconds: Math.round(seconds),
  };
}

/** The first way whose origin answers. Releases of several hosts are judged by the tool's own. */
function wayFor(tool: PlannedTool, look: Look, open: ReadonlySet<Origin>): Origin | undefined {
  return tool.ways.find((way) => {
    if (way === "releases") {
      const host = tool.release === undefined ? "" : new URL(tool.release).host;
      return look.reached.some(({ origin, asked, answers }) => origin === way && asked === host && answers);
    }
    if (way === "go") return open.has("go") && look.hasGo;
    if (way === "python") return open.has("python") && look.hasPython;
    return open.has(way);
  });
}

function reachable({ reached, routes }: Look): readonly Check[] {
  if (reached.length === 0) return [{ name: "network", verdict: "ok", found: "nothing has to be fetched" }];
  const way = routes.v4 || routes.v6 ? "" : "no default route; ";
  const words = (answers: boolean): string =>
    reached
      .filter((one) => one.answers === answers)
      .map(({ origin, asked }) => (origin === "releases" ? asked : titles[origin]))
      .join(", ");
  const [yes, no] = [words(true), words(false)];
  const found = [yes && `answer: ${yes}`, no && `no answer: ${no}`].filter(Boolean).join("; ");
  const only = routes.v6 && !routes.v4 ? " (IPv6 only)" : "";
  return [{ name: "network", verdict: yes === "" ? "warn" : "ok", found: `${way}${found}${only}` }];
}

function noWay(tools: readonly PlannedTool[], look: Look): readonly Check[] {
  if (tools.length === 0) return [];
  const names = tools.map(({ name }) => name).join(", ");
  const go = tools.some(({ ways }) => ways.includes("go")) && !look.hasGo;
  const next = go
    ? "install Go 1.26 or later (https://go.dev/dl), or let this machine reach official downloads (HTTPS_PROXY)"
    : "let this machine reach official downloads or package registries (HTTPS_PROXY), or put the tools on PATH";
  return [{ name: "tools", verdict: "fail", found: `no way to get ${names}`, next }];
}

function there({ plan }: Look): readonly Check[] {
  const onPath = plan.tools.filter(({ from }) => from === "PATH").map(({ name }) => name);
  const cached = plan.tools.filter(({ from }) => from === "cache").length;
  const parts = [
    onPath.length > 0 ? `from PATH: ${onPath.join(", ")}` : "",
    cached > 0 ? `${cached} from the cache` : "",
  ].filter((part) => part !== "");
  return parts.length === 0 ? [] : [{ name: "tools here", verdict: "ok", found: parts.join("; ") }];
}

function toGet(tools: readonly ToGet[]): readonly Check[] {
  const of = (how: ToGet["how"]): string =>
    tools
      .filter((tool) => tool.how === how)
      .map(({ name }) => name)
      .join(", ");
  const built = tools.filter(({ how }) => how === "build").reduce((sum, { seconds }) => sum + seconds, 0);
  const checks: Check[] = [];
  if (of("download") !== "") checks.push({ name: "to download", verdict: "ok", found: of("download") });
  if (of("build") !== "") {
    checks.push({ name: "to build", verdict: "ok", found: `${of("build")}: about ${minutes(built)}, once` });
  }
  return checks;
}

function packages({ packages: wanted, plan, kind }: Look, open: ReadonlySet<Origin>): readonly Check[] {
  if (kind === "none") return [];
  const checks: Check[] = [];
  const debian = open.has("debian");
  const next = "let this machine reach its Debian mirror: `apt-get update` shows what is wrong";
  if (wanted.size > 0) {
    const found = `apt-get installs ${[...wanted.keys()].join(", ")} (it asks before; --yes: it does not)`;
    checks.push({
      name: "packages",
      ...(debian ? { verdict: "ok", found } : { verdict: "fail", found: `no mirror answers, and ${found}`, next }),
    });
  }
  if (plan.roots.length > 0) {
    const found = `Debian roots to make: ${plan.roots.join(", ")}`;
    checks.push({
      name: "roots",
      ...(debian ? { verdict: "ok", found } : { verdict: "fail", found: `${found}, and no mirror answers`, next }),
    });
  }
  return checks;
}

/** "40 s", "12 min". */
export function minutes(seconds: number): string {
  return seconds < 90 ? `${Math.round(seconds / 5) * 5} s` : `${Math.round(seconds / 60)} min`;
}
