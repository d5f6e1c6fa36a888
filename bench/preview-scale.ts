/**
 * Preview of large stacks: 10 hosts with 100 machines, and 100 hosts with 1,000, by the real CLI and plugin, with no network.
 * Beside each the same without the CLI's own log, and a program that declares as many resources that cost nothing, which is Pulumi's own share.
 *
 * `node bin/run.cjs bench/preview-scale [RUNS]`; default 1. Prints seconds, and what a machine costs over the empty program.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { stringify } from "yaml";
import { checkoutRoot } from "../tools/toolchain";
import { benchEnv, median, project, pulumi, stackOfCheckout, type Times } from "./pulumi";

const MACHINES_PER_HOST = 10;

/** A production stack of so many hosts: Pulumi.prod.yaml with copies of its first host, and larger pools. */
function stackFile(work: string, hosts: number): string {
  const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPyVCqx5RJSbFnUUvT163cxQRdlJUBPThgRl8id6NNJY";
  const example = JSON.parse(fs.readFileSync(path.join(checkoutRoot(), "facts/osl1-a.json"), "utf8")) as object;
  const entries = Array.from({ length: hosts }, (_, i): [string, object] => {
    const name = `h${String(i).padStart(3, "0")}`;
    const file = path.join(work, `${name}.json`);
    fs.writeFileSync(file, JSON.stringify({ ...example, hostname: name }));
    const endpoint = { address: `192.0.2.${i + 1}`, hostKey };
    return [name, { endpoint, location: { country: "NO", site: "Oslo" }, facts: file, hugepages: "1GiB" }];
  });
  const prod = fs.readFileSync(path.join(checkoutRoot(), "Pulumi.prod.yaml"), "utf8");
  const text = prod.replace(/^ {2}kvmesh:hosts:\n(?: {4}.*\n)+/m, "").replace(/^ {2}kvmesh:pools:\n(?: {4}.*\n)+/m, "");
  const own = {
    "kvmesh:hosts": Object.fromEntries(entries),
    "kvmesh:network": { bridge: "br-nodes", cidr: "10.20.0.0/16", gateway: "10.20.0.1" },
    "kvmesh:pools": {
      control: pool("control-plane", 3, "10.20.1.1-10.20.1.3"),
      worker: pool("worker", hosts * MACHINES_PER_HOST - 3, "10.20.2.0-10.20.9.255"),
    },
  };
  return text.replace(/^ {2}kvmesh:network:\n(?: {4}.*\n)+/m, "") + stringify(own).replace(/^(?=.)/gm, "  ");
}

function pool(role: string, count: number, addresses: string): object {
  return { role, count, vcpus: 8, memory: "16GiB", disk: "100GiB", addresses };
}

/** So many resources of the cheapest kind, below components of eight as a machine's are. */
function trivialProgram(count: number): string {
  const [lean, sdk] = ["bin/lean-sdk.cjs", "dist/provider/sdk"].map((file) =>
    JSON.stringify(path.join(checkoutRoot(), file)),
  );
  return `require(${lean}); // as the program does
const pulumi = require("@pulumi/pulumi");
const { HostKey } = require(${sdk});
for (let i = 0; i < ${count}; i += 8) {
  const parent = new pulumi.ComponentResource("bench:index:Group", "group-" + i);
  for (let k = 1; k < 8; k++) new HostKey("key-" + (i + k), {}, { parent });
}
`;
}

/** The CLI has no switch for the log that it keeps of every value of every call; where it can't have a folder for it, it does without. */
function withoutLog<T>(work: string, run: () => T): T {
  const logs = path.join(work, "home", "logs");
  fs.renameSync(logs, `${logs}.kept`);
  fs.writeFileSync(logs, "");
  try {
    return run();
  } finally {
    fs.rmSync(logs);
    fs.renameSync(`${logs}.kept`, logs);
  }
}

/** Of the plan's last lines: "+ 8123 to create". */
function planned(said: string): number {
  return Number(/\+ (\d+) to create/.exec(said)?.[1]);
}

async function main(): Promise<void> {
  const runs = Number(process.argv[2] ?? 1);
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-bench-"));
  try {
    const env = await benchEnv(work);
    const say = (line: string): void => void process.stdout.write(`${line}\n`);
    const preview = (cwd: string, args: readonly string[]): Times & { readonly said: string } => {
      const all = Array.from({ length: runs }, () => pulumi(cwd, ["preview", "--suppress-progress", ...args], env));
      return { ...all[0]!, wall: median(all.map(({ wall }) => wall)), cpu: median(all.map(({ cpu }) => cpu)) };
    };
    const row = (name: string, { wall, cpu }: Times, perMachine?: Times): void => {
      const each = perMachine && `${(perMachine.wall * 1000).toFixed(1)} ms (${(perMachine.cpu * 1000).toFixed(1)} ms)`;
      say(`${name.padEnd(46)} ${wall.toFixed(1).padStart(5)} s (${cpu.toFixed(1)} s of CPU)  ${each ?? ""}`);
    };
    say("preview                                        time                    each machine, over the empty program");
    const empty = project(work, "empty", 'require("@pulumi/pulumi");\n');
    pulumi(empty, ["stack", "init", "empty"], env);
    const base = preview(empty, ["--stack", "empty"]);
    row("empty program", base);

    const costs: Times[] = [];
    for (const hosts of [10, 100]) {
      const machines = hosts * MACHINES_PER_HOST;
      const each = ({ wall, cpu }: Times): Times => ({
        wall: (wall - base.wall) / machines,
        cpu: (cpu - base.cpu) / machines,
      });
      const stack = stackOfCheckout(work, `scale-${hosts}`, stackFile(work, hosts), env);
      const ours = preview(checkoutRoot(), stack);
      const count = planned(ours.said);
      row(`${hosts} hosts, ${machines} machines, ${count} resources`, ours, each(ours));
      costs.push(each(ours));

      const unlogged = withoutLog(work, () => preview(checkoutRoot(), stack));
      row("the same without the CLI's log", unlogged, each(unlogged));

      const folder = project(work, `trivial-${hosts}`, trivialProgram(count));
      pulumi(folder, ["stack", "init", "trivial"], env);
      const trivial = preview(folder, ["--stack", "trivial"]);
      row(`${planned(trivial.said)} trivial resources`, trivial, each(trivial));
    }
    const [few, many] = costs as [Times, Times];
    say(
      `a machine of 1,000 costs ${(many.wall / few.wall).toFixed(2)} × one of 100 (CPU: ${(many.cpu / few.cpu).toFixed(2)} ×)`,
    );
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
