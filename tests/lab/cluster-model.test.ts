import { expect } from "chai";
import { spawn } from "node:child_process";
import * as os from "node:os";
import * as path from "node:path";
import { simulatedMachine } from "../support/machines/simulated";
import type { Result, Work } from "../support/cluster-model/worker";

const isRoot = process.getuid?.() === 0 && process.platform === "linux";

/** All of them; `KVMESH_SEQUENCES` for more or fewer, `KVMESH_SEED` for the ones that failed. */
const SEQUENCES = Number(process.env.KVMESH_SEQUENCES ?? 300);
/** A sequence waits for elections and time limits more than it computes. */
const PROCESSES = Math.min(4, 2 * os.availableParallelism());

/**
 * Random changes of the control planes and random faults, against a model: a majority is never taken away, no member stays that nobody
 * declared, the cluster is founded once, what was acknowledged is there, and a second `up` is empty. etcd is real; kubeadm, kubelet and API
 * server are simulated. No contract test compares the simulation with the real ones yet.
 */
(isRoot ? describe : describe.skip)(
  `random membership changes and faults${isRoot ? "" : " (needs root on Linux)"}`,
  function () {
    this.timeout(3 * 3600_000);

    it(`${SEQUENCES} sequences keep the cluster what it is declared to be`, async () => {
      await simulatedMachine(() => undefined);
      const first = Number(process.env.KVMESH_SEED ?? Math.floor(Math.random() * 2 ** 31));
      const count = Math.min(PROCESSES, SEQUENCES);
      const results = await Promise.all(
        Array.from({ length: count }, (_, i) =>
          run({ seed: first + i, sequences: Math.ceil((SEQUENCES - i) / count) }),
        ),
      );
      const sum = (of: (result: Result) => number): number => results.reduce((total, one) => total + of(one), 0);
      process.stdout.write(
        `      seeds ${first} to ${first + count - 1}: ${sum((one) => one.sequences)} sequences, ${sum((one) => one.commands)} commands\n`,
      );
      expect(results.flatMap(({ failure }) => (failure === undefined ? [] : [failure])).join("\n\n")).to.equal("");
    });
  },
);

/** One process: its machines and its network are its own. */
async function run(work: Work): Promise<Result> {
  const worker = path.join(__dirname, "../support/cluster-model/worker.js");
  const child = spawn(process.execPath, [worker, JSON.stringify(work)], { stdio: ["ignore", "pipe", "inherit"] });
  let stdout = "";
  child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code !== 0)
    return { sequences: 0, commands: 0, failure: `seed ${work.seed}: ended with exit code ${String(code)}` };
  const result = JSON.parse(stdout.trim().split("\n").at(-1)!) as Result;
  return result.failure === undefined ? result : { ...result, failure: `seed ${work.seed}: ${result.failure}` };
}
