#!/usr/bin/env node
// Runs a compiled program of this checkout: `node bin/run.cjs tools/quickstart/cli ARGS…`.
// Needs nothing but Node.js: it installs the npm packages and compiles the sources first, when that is due.
"use strict";
const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { ALL, staleSource } = require("./ensure-built.cjs");

const root = path.resolve(__dirname, "..");

/** Exit codes as in command/exit-codes.ts, which is not compiled yet. */
const [USAGE, FAILED] = [2, 3];

function fail(message, code = FAILED) {
  process.stderr.write(`kvmesh: ${message}\n`);
  process.exit(code);
}

/** Runs a step of ours; its output goes to stderr, so that what the program prints stays clean. */
function step(what, command, args) {
  const started = Date.now();
  process.stderr.write(`kvmesh: ${what} …\n`);
  const result = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] });
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  if (result.error) fail(`${what}: the command ${command} can't be run: ${result.error.message}`);
  if (result.status !== 0)
    fail(`${what} failed after ${seconds} s (\`${command} ${args.join(" ")}\`); its output is above`);
  process.stderr.write(`kvmesh: ${what}: ${seconds} s\n`);
}

/** True when the lock file is newer than what was installed from it. */
function packagesAreStale() {
  const installed = path.join(root, "node_modules", ".package-lock.json");
  return (
    !fs.existsSync(installed) ||
    fs.statSync(installed).mtimeMs < fs.statSync(path.join(root, "package-lock.json")).mtimeMs
  );
}

/** Runs `work` while no other process prepares this checkout. */
function alone(work) {
  const lock = path.join(root, ".kvmesh", "preparing");
  const own = `${lock}.${process.pid}`;
  try {
    fs.mkdirSync(path.dirname(lock), { recursive: true });
    fs.writeFileSync(own, String(process.pid));
  } catch {
    return work(); // where nothing can be written, nothing can be prepared: the step itself says why
  }
  let held = false;
  process.on("exit", () => {
    for (const file of [own, ...(held ? [lock] : [])]) fs.rmSync(file, { force: true });
  });
  for (let told = false; !held;) {
    try {
      fs.linkSync(own, lock); // whole or not at all
      held = true;
    } catch (error) {
      if (error.code !== "EEXIST") return work(); // a file system without links
      const holder = Number(readOr(lock, process.pid));
      if (!isRunning(holder)) fs.rmSync(lock, { force: true });
      else if (!told && holder !== process.pid) {
        told = true;
        process.stderr.write(`kvmesh: process ${holder} is installing or compiling here; waiting\n`);
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    }
  }
  work();
  held = false;
  fs.rmSync(lock, { force: true });
}

function readOr(file, otherwise) {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return otherwise;
  }
}

function isRunning(pid) {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return error.code === "EPERM";
  }
}

// ">=20.19": npm only warns of it.
const oldest = require("../package.json").engines.node.replace(">=", "");
const [found, needed] = [process.versions.node, oldest].map((version) => version.split(".").map(Number));
if (found[0] < needed[0] || (found[0] === needed[0] && found[1] < needed[1])) {
  fail(`Node.js ${process.versions.node} is too old: ${oldest} or later is needed (https://nodejs.org)`);
}
// Without HOME, Go, npm and Pulumi know no place for what they keep; an empty one would be the current folder.
if (!process.env.HOME) process.env.HOME = os.userInfo().homedir;
const [program, ...args] = process.argv.slice(2);
if (!program) fail("usage: node bin/run.cjs PROGRAM [ARGS…], e.g. tools/quickstart/cli", USAGE);

const rooms = [...new Set([...ALL, "command", "report", "tools", program.split("/")[0]])];
if (packagesAreStale() || staleSource(rooms)) {
  // Of two first runs the second waits, and finds all done.
  alone(() => {
    if (packagesAreStale()) {
      step("installing npm packages", "npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    }
    if (staleSource(rooms)) {
      step("compiling", process.execPath, [path.join(root, "node_modules/typescript/bin/tsc"), "-p", root]);
    }
  });
}

const compiled = path.join(root, "dist", `${program}.js`);
if (!fs.existsSync(compiled)) fail(`there is no program ${program}; package.json has them, under scripts`, USAGE);
process.argv = [process.argv[0], compiled, ...args];
require("../dist/command/end.js").catchEverything();
require(compiled);
