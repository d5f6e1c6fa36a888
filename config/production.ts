import { ConfigError, problem, type Problem } from "./problems";
import { untolerated } from "./sections/hosts";
import type { StackSpec } from "./spec";

/**
 * What production must not have, refused on `up` before anything is declared. In a preview the policy packs say it, with
 * rule, value and remedy; a pack can be left out of a run, this can't.
 *
 * @throws ConfigError with all of it.
 */
export function refuseUnfitProduction(spec: StackSpec, stack: string): void {
  if (spec.environment !== "production") return;
  const problems = [...controlPlaneProblems(spec), ...machineProblems(spec)];
  if (spec.mesh.provider === "istio" && spec.mesh.profile === "demo")
    problems.push(problem(["mesh", "profile"], "demo", "refused in production: use default"));
  if (problems.length > 0) throw new ConfigError(`the configuration of stack ${stack}`, problems);
}

function controlPlaneProblems({ pools }: StackSpec): Problem[] {
  const planes = pools
    .filter((pool) => pool.role === "control-plane")
    .reduce((sum, pool) => sum + (pool.source === "hosts" ? pool.count : pool.machines.length), 0);
  if (planes >= 3 && planes % 2 === 1) return [];
  const message = "production needs an odd number of at least 3, so that etcd keeps its quorum without one";
  return [problem(["pools"], `${planes} control planes`, message)];
}

function machineProblems({ pools, hosts }: StackSpec): Problem[] {
  const problems: Problem[] = [];
  const vcpus = (path: readonly string[], count: number): void => {
    if (count < 4) problems.push(problem([...path, "vcpus"], count, "production needs at least 4 a node"));
  };
  const shared = "refused in production: take dedicated vCPUs";
  for (const pool of pools) {
    const at = ["pools", pool.name];
    if (pool.source === "machines") {
      for (const { name, plan, vcpus: count } of pool.machines) {
        if (plan === "shared") problems.push(problem([...at, "machines", name, "plan"], plan, shared));
        vcpus([...at, "machines", name], count);
      }
      continue;
    }
    if (pool.cpu === "shared") problems.push(problem([...at, "cpu"], pool.cpu, shared));
    vcpus(at, pool.vcpus);
  }
  for (const host of hosts) {
    const at = ["hosts", host.name];
    if (host.accelerator === "qemu") {
      const message = "emulation is refused in production: use a host with KVM";
      problems.push(problem([...at, "accelerator"], host.accelerator, message));
    }
    for (const machine of untolerated(host)) {
      const message = `refused in production: this machine is not ours, and ${machine.floating} of its vCPUs float over all CPUs of the host. Pin them and probe the host again, or allow it by its name in \`tolerate\``;
      problems.push(problem([...at, "facts"], machine.name, message));
    }
  }
  return problems;
}
