/** Exact binomial statistics: what a share of requests may look like by chance alone. */

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * The Clopper–Pearson interval: every share that `successes` of `trials` could have come from, at this confidence.
 *
 * It contains the true share in at least `confidence` of all measurements, whatever that share is (also 0 and 1, where
 * approximations by a normal distribution fail).
 *
 * @param confidence between 0 and 1, such as 0.999
 * @throws RangeError on counts that are no counts
 */
export function exactInterval(successes: number, trials: number, confidence: number): Interval {
  if (!Number.isInteger(successes) || !Number.isInteger(trials) || successes < 0 || trials < 1 || successes > trials) {
    throw new RangeError(`${successes} of ${trials} is no count of successes`);
  }
  if (!(confidence > 0 && confidence < 1)) {
    throw new RangeError(`confidence ${confidence} is not between 0 and 1`);
  }
  const tail = (1 - confidence) / 2;
  // Both tails are monotonic in the share, so bisection finds where each falls to its half of the error.
  const low = successes === 0 ? 0 : bisect((share) => 1 - atMost(successes - 1, trials, share) < tail);
  const high = successes === trials ? 1 : bisect((share) => atMost(successes, trials, share) > tail);
  return { low, high };
}

/** P(X ≤ k) of Binomial(n, p). */
export function atMost(k: number, n: number, p: number): number {
  if (k < 0) return 0;
  if (k >= n || p === 0) return 1;
  if (p === 1) return 0;
  // In logarithms, relative to the largest term: the terms themselves underflow for a few thousand trials.
  const logs = Array.from({ length: k + 1 }, (_, i) => logTerm(i, n, p));
  const top = logs[Math.min(k, Math.floor((n + 1) * p))] ?? 0;
  const sum = logs.reduce((total, log) => total + Math.exp(log - top), 0);
  return Math.min(1, Math.exp(top + Math.log(sum)));
}

function logTerm(k: number, n: number, p: number): number {
  return logFactorial(n) - logFactorial(k) - logFactorial(n - k) + k * Math.log(p) + (n - k) * Math.log1p(-p);
}

const logFactorials = [0];

function logFactorial(n: number): number {
  for (let i = logFactorials.length; i <= n; i++) {
    logFactorials.push((logFactorials[i - 1] ?? 0) + Math.log(i));
  }
  return logFactorials[n] ?? 0;
}

/** The share up to which `holds` is true, to 12 digits. */
function bisect(holds: (share: number) => boolean): number {
  let [low, high] = [0, 1];
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
