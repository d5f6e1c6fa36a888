import { exactInterval, type Interval } from "./binomial";

/** What a version should get: its name and weight in percent. */
export interface ExpectedShare {
  readonly version: string;
  readonly weight: number;
}

export interface VersionShare {
  readonly version: string;
  readonly weight: number;
  readonly count: number;
  /** Shares that the count could have come from, as fractions of 1. */
  readonly interval: Interval;
  /** The declared weight is in the interval; a weight of 0 or 100 must be met exactly. */
  readonly asDeclared: boolean;
}

export interface SplitVerdict {
  readonly requests: number;
  readonly failed: number;
  readonly confidence: number;
  readonly shares: readonly VersionShare[];
  /** Answers of versions that have no weight. */
  readonly unexpected: Readonly<Record<string, number>>;
  readonly asDeclared: boolean;
}

/**
 * Compares counted answers with declared weights. No failed request and no unexpected version is let pass.
 *
 * @param confidence of the whole verdict; each of several free shares gets its part of the error (Bonferroni)
 */
export function judgeSplit(
  counts: Readonly<Record<string, number>>,
  failed: number,
  weights: readonly ExpectedShare[],
  confidence = 0.999,
): SplitVerdict {
  const answered = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const each = 1 - (1 - confidence) / Math.max(1, weights.length - 1);
  const shares = weights.map(({ version, weight }): VersionShare => {
    const count = counts[version] ?? 0;
    const interval = answered === 0 ? { low: 0, high: 1 } : exactInterval(count, answered, each);
    const share = weight / 100;
    const exact = weight === 0 ? count === 0 : weight === 100 ? count === answered : true;
    return { version, weight, count, interval, asDeclared: exact && interval.low <= share && share <= interval.high };
  });
  const unexpected = Object.fromEntries(
    Object.entries(counts).filter(([version]) => !weights.some((expected) => expected.version === version)),
  );
  return {
    requests: answered + failed,
    failed,
    confidence,
    shares,
    unexpected,
    asDeclared:
      answered > 0 &&
      failed === 0 &&
      Object.keys(unexpected).length === 0 &&
      shares.every(({ asDeclared }) => asDeclared),
  };
}
