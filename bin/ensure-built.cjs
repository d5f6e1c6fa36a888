// Stops with one line when a TypeScript source is not compiled, or newer than what was: a stale program must not touch machines.
// Preloaded by the plugin's launcher (node --require), called by the policy pack; the program and bin/run.cjs ask it.
"use strict";
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const root = path.resolve(__dirname, "..");
const ALL = ["config", "components", "provider", "policies", "index.ts"];

/** Path of a source in these folders or files that is not compiled yet, relative to the checkout; undefined: all are. */
function staleSource(rooms = ALL) {
  const built = buildInfo();
  for (const room of rooms) {
    for (const source of sources(path.join(root, room))) {
      const compiled = path.join(root, "dist", path.relative(root, source)).replace(/\.ts$/, ".js");
      const wanted = fs.statSync(source).mtimeMs;
      if (wanted <= (fs.statSync(compiled, { throwIfNoEntry: false })?.mtimeMs ?? 0)) continue;
      // A fresh checkout or an editor touches files without changing them, and the compiler leaves such ones alone.
      const hash = crypto.createHash("sha256").update(fs.readFileSync(source, "utf8")).digest("hex");
      if (fs.existsSync(compiled) && built().includes(hash)) continue;
      return path.relative(root, source);
    }
  }
  return undefined;
}

/** The compiler's record, which holds the hash of every source that it compiled. */
function buildInfo() {
  let text;
  return () => {
    const file = path.join(root, "dist", ".tsbuildinfo");
    text ??= fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
    return text;
  };
}

function sources(place) {
  const stat = fs.statSync(place, { throwIfNoEntry: false });
  if (!stat) return [];
  if (stat.isFile()) return [place];
  return fs
    .readdirSync(place, { withFileTypes: true })
    .filter((entry) => entry.name !== "node_modules")
    .flatMap((entry) => {
      const child = path.join(place, entry.name);
      if (entry.isDirectory()) return sources(child);
      return entry.name.endsWith(".ts") && !entry.name.endsWith(".d.ts") ? [child] : [];
    });
}

function ensureBuilt(rooms = ALL) {
  const refusal = refusalOf(rooms);
  if (refusal === undefined) return;
  process.stderr.write(`kvmesh: ${refusal}\n`);
  process.exit(1);
}

/** What to say to a person; undefined: all is compiled. */
function refusalOf(rooms) {
  const stale = staleSource(rooms);
  return stale && `${stale} is not compiled, or was changed since: run \`npm run build\``;
}

module.exports = { ALL, ensureBuilt, refusalOf, staleSource };

// Preloaded: the program's own room is enough, because it imports nothing outside it.
if (module.parent?.id === "internal/preload") {
  const [dist, room] = path.relative(root, path.resolve(process.argv[1] ?? "")).split(path.sep);
  ensureBuilt(dist === "dist" && ALL.includes(room) ? [room] : ALL);
}
