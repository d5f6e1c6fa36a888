import { maps, values } from "../../config/sections";
import { ConfigError, type Problem } from "../../config/problems";
import { validate } from "../../config/validate";
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
  const ssh = validate(values.ssh.schema, config["kvmesh:ssh"], ["ssh"], problems);
  const hosts = Object.entries(record(config["kvmesh:hosts"])).flatMap(([name, entry]): HostToProbe[] => {
    const host = validate(maps.hosts.entry, entry, ["hosts", name], problems);
    if (host === undefined) return [];
    const { endpoint, facts, storage } = host;
    return [{ name, endpoint, factsFile: facts ?? maps.hosts.factsFileOf(name), storage }];
  });
  if (problems.length > 0) throw new ConfigError(source, problems);
  return { identityFile: ssh?.identityFile, hosts };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
