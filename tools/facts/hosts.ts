import { maps, values } from "../../config/sections";
import { ConfigError, fromIssues, type Problem } from "../../config/problems";
import { keysAt } from "../../config/stack-file-schema";
import type { Endpoint } from "../../provider/transport/transport";

export interface HostToProbe {
  readonly name: string;
  readonly endpoint: Endpoint;
  /** Relative to the checkout. */
  readonly factsFile: string;
  /** Folder for images and disks on the host. */
  readonly storage: string;
}

/** The hosts of a stack file, which may lack everything else: facts come before the rest of it can be checked. */
export function hostsIn(stackFile: unknown, source: string): { identityFile?: string; hosts: readonly HostToProbe[] } {
  const config = record(record(stackFile).config);
  const problems: Problem[] = [];
  const ssh = values.ssh.schema.safeParse(config["kvmesh:ssh"]);
  if (!ssh.success) {
    problems.push(
      ...fromIssues(ssh.error.issues, config["kvmesh:ssh"], ["ssh"], (at) => keysAt(values.ssh.schema, at)),
    );
  }
  const hosts = Object.entries(record(config["kvmesh:hosts"])).flatMap(([name, entry]): HostToProbe[] => {
    const host = maps.hosts.entry.safeParse(entry);
    if (host.success) {
      const { endpoint, facts, storage } = host.data;
      return [{ name, endpoint, factsFile: facts ?? maps.hosts.factsFileOf(name), storage }];
    }
    problems.push(...fromIssues(host.error.issues, entry, ["hosts", name], (at) => keysAt(maps.hosts.entry, at)));
    return [];
  });
  if (problems.length > 0) throw new ConfigError(source, problems);
  return { identityFile: ssh.data?.identityFile, hosts };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
