/**
 * Joining the hundredth worker against the tenth, on machines that are folders of this computer: what our own part of a join costs as a cluster
 * grows. `node dist/bench/join.js`; the limit is 1.2.
 */
import { SimulatedCluster } from "../tests/support/simulated-cluster";

const LAST = 105;
const LIMIT = 1.2;

async function main(): Promise<void> {
  const workers = Array.from({ length: LAST }, (_, i) => `w-${i}`);
  const cluster = await SimulatedCluster.start(["cp-0", "cp-1", "cp-2"], workers);
  await cluster.found();
  for (const name of ["cp-0", "cp-1", "cp-2"]) await cluster.join(name);
  const took: number[] = [];
  for (const name of workers) {
    const started = performance.now();
    await cluster.join(name);
    took.push(performance.now() - started);
  }
  cluster.close();
  const [tenth, hundredth] = [median(took.slice(5, 15)), median(took.slice(95, 105))];
  const ratio = hundredth / tenth;
  process.stdout.write(
    `a worker's join: around the 10th ${tenth.toFixed(0)} ms, around the 100th ${hundredth.toFixed(0)} ms, ` +
      `ratio ${ratio.toFixed(2)} (limit ${LIMIT})\n`,
  );
  if (ratio > LIMIT) process.exitCode = 1;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

void main();
