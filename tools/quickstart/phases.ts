/** Wall-clock time of each phase of the quickstart, told while it runs and summed up at the end. */
export class Phases {
  private readonly done: { readonly name: string; readonly ms: number }[] = [];

  constructor(
    private readonly say: (line: string) => void,
    private readonly now: () => number = Date.now,
  ) {}

  /** Runs one phase; its time is kept also when it fails. */
  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const started = this.now();
    this.say(`\n▸ ${name}`);
    try {
      return await work();
    } finally {
      const ms = this.now() - started;
      this.done.push({ name, ms });
      this.say(`  ${name}: ${seconds(ms)}`);
    }
  }

  /** One line a phase and the total. */
  table(): string[] {
    const rows = [...this.done, { name: "total", ms: this.done.reduce((sum, phase) => sum + phase.ms, 0) }];
    const width = Math.max(...rows.map((row) => row.name.length));
    return rows.map((row) => `${row.name.padEnd(width)}  ${seconds(row.ms).padStart(8)}`);
  }
}

/** "0.4 s", "12 s", "3 m 05 s". */
export function seconds(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const whole = Math.round(ms / 1000);
  if (whole < 120) return `${whole} s`;
  return `${Math.floor(whole / 60)} m ${String(whole % 60).padStart(2, "0")} s`;
}
