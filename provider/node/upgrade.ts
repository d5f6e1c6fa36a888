import { UserError } from "../core/kind";

/** One place to refuse a version change until rolling upgrades are there. */
export function refuseUpgrade(node: string, before: string, after: string): void {
  if (before === after) return;
  throw new UserError(
    `node ${node}: runs Kubernetes ${before}, ${after} is declared. Rolling upgrades of a running cluster are not there yet; ` +
      `set kubernetes.version to "${before}", or make a new cluster`,
  );
}
