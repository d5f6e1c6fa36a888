/**
 * Calls `then` once when the process that started this one is gone: an engine that was killed tells its plugins nothing, and a plugin
 * that outlives it would go on changing hosts beside the next run.
 */
export function whenOrphaned(then: () => void, everyMs = 1000): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    then();
  }, everyMs);
  timer.unref();
}
