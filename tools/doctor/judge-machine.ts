/** Verdicts on the machine itself: cores, memory, disk, privileges, places, what runs here. Pure. */
import type { Check, ToGet } from "./judge";
import type { Look } from "./look";
import type { Place } from "./places";

const GIB = 2 ** 30;

/** Free memory that the two machines of a site take, GiB; measured on an emulated site with everything running. */
const MEMORY = { kvm: 6.5, emulated: 4, none: 1 };
/** GiB on disk. `built`: Go's caches where every tool is built (measured: 14.4). `cache`: tools, roots, images. `data`: a site. */
const DISK = { built: 15, cache: 6, data: 6, reserve: 1 };

const gib = (bytes: number): string => `${(bytes / GIB).toFixed(1)} GiB`;

export function judgeMachine(look: Look, tools: readonly ToGet[]): readonly Check[] {
  return [
    site(look),
    ...other(look),
    cores(look),
    memory(look),
    privileges(look),
    ...look.places.flatMap((place) => writable(place)),
    ...space(look, tools),
    ...overlay(look),
    ...servers(look),
    ...network(look),
  ];
}

function site({ kind, site: up }: Look): Check {
  if (up) {
    const [verdict, found] =
      up.state === "up"
        ? (["ok", `a site of the kind ${up.kind} is up; the quickstart goes on from there`] as const)
        : (["warn", `parts of the ${up.kind} site have ended; the quickstart starts them again`] as const);
    return { name: "site", verdict, found };
  }
  if (kind === "none") {
    const found = "no cluster can be made here; the quickstart shows the plan of an example stack instead";
    return { name: "site", verdict: "warn", found };
  }
  return { name: "site", verdict: "ok", found: `the quickstart makes a site of the kind ${kind}` };
}

function other({ other: holder }: Look): readonly Check[] {
  if (!holder) return [];
  const found = `a quickstart runs already (process ${holder.pid}, since ${holder.since})`;
  return [{ name: "quickstart", verdict: "fail", found, next: "let it end, or end it with Ctrl-C" }];
}

function cores({ machine: { cpus } }: Look): Check {
  const found = `${cpus} CPU${cpus === 1 ? "" : "s"}`;
  if (cpus >= 2) return { name: "cores", verdict: "ok", found };
  return { name: "cores", verdict: "warn", found, next: "it works, and takes about twice as long as with two" };
}

function memory({ machine: { memoryBytes }, availableBytes, kind, site: up }: Look): Check {
  const found = `${gib(availableBytes)} of ${gib(memoryBytes)} are free`;
  const wanted = up?.state === "up" ? 1 : MEMORY[kind];
  if (availableBytes >= wanted * GIB) return { name: "memory", verdict: "ok", found };
  const next = `about ${wanted} GiB are wanted: end what takes memory, or machines are killed in the middle of the run`;
  return { name: "memory", verdict: availableBytes < (wanted * GIB) / 2 ? "fail" : "warn", found, next };
}

function privileges({ machine: { uid, platform }, sudo }: Look): Check {
  const name = "privileges";
  if (uid === 0) return { name, verdict: "ok", found: "root" };
  if (platform !== "linux") return { name, verdict: "ok", found: "none are needed for the preview" };
  const found = {
    root: "root",
    "at once": "no root; sudo works without a password",
    asks: "no root; sudo asks for a password",
    none: "no root, and no sudo for this user",
  }[sudo];
  const next =
    sudo === "none"
      ? "run it as root (`su -`), or ask whoever administers this machine; the preview needs no root"
      : "sudo npm run quickstart";
  return { name, verdict: "warn", found, next };
}

const settings: Readonly<Record<Place["name"], string>> = {
  cache: "KVMESH_CACHE=/some/folder puts it elsewhere",
  data: "KVMESH_DATA=/some/folder puts it elsewhere",
  go: "GOCACHE=/some/folder and GOMODCACHE=/some/folder put them elsewhere",
  checkout: "clone it to a place that this user can write to",
};

const titles: Readonly<Record<Place["name"], string>> = {
  cache: "cache folder",
  data: "data folder",
  go: "Go's caches",
  checkout: "checkout",
};

function writable({ name, path, problem, options, freeInodes }: Place): readonly Check[] {
  const title = titles[name];
  const next = settings[name];
  if (problem === "EROFS")
    return [{ name: title, verdict: "fail", found: `${path} is on a read-only file system`, next }];
  if (problem === "ENOSPC" || problem === "EDQUOT" || freeInodes === 0) {
    const what = freeInodes === 0 ? "no free inode" : "no free space";
    return [{ name: title, verdict: "fail", found: `${path}: ${what}`, next: `free some; ${next}` }];
  }
  if (problem !== undefined) {
    return [{ name: title, verdict: "fail", found: `${path} can't be written to (${problem})`, next }];
  }
  const runs = name === "cache" || name === "data";
  const hinder = runs ? ["noexec", "nodev"].filter((option) => options.includes(option)) : [];
  if (hinder.length > 0) {
    const found = `${path} is on a file system mounted ${hinder.join(" and ")}: programs and machines can't run from it`;
    return [{ name: title, verdict: "fail", found, next }];
  }
  return [{ name: title, verdict: "ok", found: path }];
}

/** What is missing is added up for each file system: cache, data and Go's caches are often on one. */
function space({ places, plan, kind, site: up }: Look, tools: readonly ToGet[]): readonly Check[] {
  const share = builtShare(tools);
  const wanted: Readonly<Partial<Record<Place["name"], number>>> = {
    cache: (plan.roots.length > 0 ? DISK.cache : 0) + share,
    data: kind === "none" || up ? 0.5 : DISK.data,
    go: DISK.built * share,
  };
  const devices = [...new Set(places.map(({ device }) => device))];
  return devices.map((device) => {
    const group = places.filter((place) => place.device === device);
    const need = DISK.reserve + group.reduce((sum, { name }) => sum + (wanted[name] ?? 0), 0);
    const free = group[0]!.freeBytes;
    const names = group.map(({ name }) => titles[name]).join(", ");
    const found = `${gib(free)} free for ${names}`;
    const next = `about ${need.toFixed(0)} GiB are needed: free some, or put one elsewhere (${settings.cache})`;
    return free >= need * GIB ? { name: "disk", verdict: "ok", found } : { name: "disk", verdict: "fail", found, next };
  });
}

/** How much of everything that can be built is built, 0–1, by time. */
function builtShare(tools: readonly ToGet[]): number {
  const built = tools.filter(({ how }) => how === "build").length;
  return Math.min(1, built / 15);
}

function overlay({ overlay: problem, places }: Look): readonly Check[] {
  if (problem === undefined) return [];
  const data = places.find(({ name }) => name === "data");
  const found = `no overlay can be mounted on ${data?.path ?? "the data folder"} (${data?.fileSystem ?? "?"}): ${problem}`;
  const next = "a site is made of overlays: KVMESH_DATA=/some/folder on ext4 or XFS (in a container: on a volume)";
  return [{ name: "overlay", verdict: "fail", found, next }];
}

function servers({ servers: running, kind }: Look): readonly Check[] {
  if (running.length === 0) return [];
  const apart =
    kind === "kvm"
      ? "the site uses this computer's libvirt with a network of its own, and touches nothing else of it"
      : "the site has its own, in namespaces, and touches none of these";
  return [{ name: "servers", verdict: "ok", found: `${running.join(", ")} run here: ${apart}` }];
}

function network({ networkProblem }: Look): readonly Check[] {
  if (networkProblem === undefined) return [];
  return [{ name: "site network", verdict: "fail", found: networkProblem, next: "take one of those networks down" }];
}
