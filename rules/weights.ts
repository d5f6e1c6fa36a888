/** Weights of a route: subset → percent. Asked by the stack file and the Canary component; the policy canary-weights has its own form. */

/** What is wrong with the weights, as a sentence with its remedy; undefined: nothing. */
export function weightsFault(
  weights: readonly { readonly subset: string; readonly weight: number }[],
): string | undefined {
  const bad = weights.find(({ weight }) => !Number.isInteger(weight) || weight < 0 || weight > 100);
  if (bad) return `weight ${bad.weight} of subset ${bad.subset}: weights are whole numbers from 0 to 100`;
  const sum = weights.reduce((total, { weight }) => total + weight, 0);
  if (sum !== 100) return `the sum is ${sum}: make it 100; give the share of every version, also of the stable one`;
  if (weights.length < 2) return "a canary splits traffic between at least two versions";
  return undefined;
}

/** "v1: 90, v2: 10", or "none". */
export function formatWeights(weights: readonly { readonly subset: string; readonly weight: number }[]): string {
  return weights.map(({ subset, weight }) => `${subset}: ${weight}`).join(", ") || "none";
}
