/**
 * The core ledger: 1000 machines on 100 hosts, fresh and with their places known, against 100 machines on 10 hosts.
 *
 * `node bin/run.cjs bench/placement [RUNS]`; default 10 of each in turn after one that is not counted. Prints medians of
 * CPU time, which other work on this computer does not change, and the time a machine as a ratio: 1.0 would be a cost that does not grow with the stack.
 */
import { place, type Placed } from "../components/nodes/placement";
import { largeStack } from "../tests/support/large-stack";

interface Case {
  readonly name: string;
  readonly machines: number;
  readonly run: () => void;
}

function cases(): Case[] {
  return [
    { hosts: 10, machines: 100 },
    { hosts: 100, machines: 1000 },
  ].flatMap((size) => {
    const { hosts, requests } = largeStack(size.hosts, size.machines);
    const placed: readonly Placed[] = place(hosts, requests);
    const name = `${size.machines} machines on ${size.hosts} hosts`;
    return [
      { name: `${name}, none placed`, machines: size.machines, run: () => void place(hosts, requests) },
      { name: `${name}, all placed`, machines: size.machines, run: () => void place(hosts, requests, placed) },
    ];
  });
}

function main(): void {
  const runs = Number(process.argv[2] ?? 10);
  const all = cases();
  const times = all.map((): number[] => []);
  for (let run = 0; run <= runs; run++) {
    all.forEach(({ run: once }, i) => {
      const started = process.cpuUsage();
      once();
      const { user, system } = process.cpuUsage(started);
      if (run > 0) times[i]!.push((user + system) / 1000);
    });
  }
  const perMachine = all.map(({ machines }, i) => median(times[i]!) / machines);
  all.forEach(({ name }, i) => {
    const ratio = i < 2 ? "" : `, ${(perMachine[i]! / perMachine[i - 2]!).toFixed(2)} × a machine of the small stack`;
    process.stdout.write(`${name.padEnd(40)} median ${median(times[i]!).toFixed(0)} ms${ratio}\n`);
  });
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

main();
