/** Takes one line for a person to read; the caller decides where it goes. */
export type Report = (line: string) => void;

const first = 5_000;

/** `75 s` below two minutes, `3 min 05 s` above. */
export function elapsed(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}

/**
 * Runs `work`; while it takes longer than 5 s, reports `what` and the elapsed time every 5 s, and its end. Work that is
 * done sooner says nothing. `detail` completes the lines between.
 */
export async function withProgress<T>(
  report: Report,
  what: string,
  work: () => Promise<T>,
  every: number = first,
  detail: () => Promise<string> = () => Promise.resolve(""),
): Promise<T> {
  const started = Date.now();
  const timer = setInterval(() => {
    void detail().then((more) => report(`${what}: ${elapsed(Date.now() - started)}${more} …`));
  }, every);
  try {
    const result = await work();
    const took = Date.now() - started;
    if (took > every) report(`${what}: done in ${elapsed(took)}`);
    return result;
  } finally {
    clearInterval(timer);
  }
}
