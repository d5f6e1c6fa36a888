import { Command } from "@pulumi/command/local";
import * as pulumi from "@pulumi/pulumi";
import { cpusToIsolate, hugepagesOf, shownByFacts } from "../../config/preparation";
import type { HostSpec, SshSpec, TimeoutsSpec } from "../../config/spec";
import { formatCpuSet } from "../../config/units";
import type { OwnerArgs } from "../../provider/sdk";
import { LOCAL_SCRIPT, sshEnvironment } from "./over-ssh";
import { preparationScript, type Preparation } from "./preparation-script";

export interface HostPreparationArgs {
  readonly owner: OwnerArgs;
  readonly host: HostSpec;
  readonly ssh: SshSpec;
  readonly timeouts: TimeoutsSpec;
}

/**
 * Makes a host into what `hosts.<host>.prepare` says, over OpenSSH with the pinned key, and takes it back when it is deleted: docs/decisions/0054.
 * What waits for a boot is a warning.
 */
export class HostPreparation extends pulumi.ComponentResource {
  /** Everything of the host waits for it. */
  readonly command: Command;

  constructor(name: string, args: HostPreparationArgs, opts?: pulumi.ComponentResourceOptions) {
    super("kvmesh:nodes:HostPreparation", name, {}, opts);
    const { host, ssh, timeouts } = args;
    this.command = new Command(
      name,
      {
        // The real text is in the environment: the provider's error names the command.
        create: `action=prepare; eval "$KVMESH_RUN"`,
        delete: `action=undo; eval "$KVMESH_RUN"`,
        stdin: preparationScript(preparationOf(host, args.owner)),
        environment: {
          KVMESH_RUN: LOCAL_SCRIPT,
          KVMESH_REBOOT: host.prepare?.reboot ?? "never",
          KVMESH_FACTS: shownByFacts(host),
          ...sshEnvironment(host.name, host.endpoint, ssh, timeouts),
        },
        addPreviousOutputInEnv: false,
      },
      // Asked for by hand only; the other way round, the undo of the old one would take back what the new one did.
      { parent: this, deleteBeforeReplace: true },
    );
    this.command.stdout.apply((text) => this.warnOfPending(text, host));
    this.registerOutputs({});
  }

  private warnOfPending(stdout: string | undefined, { name }: HostSpec): void {
    const pending = (stdout ?? "").split("\n").flatMap((line) => /^pending: (.*)/.exec(line)?.[1] ?? []);
    if (pending.length === 0) return;
    const then = `Boot it, then run \`npm run facts -- ${name}\` and \`pulumi up\``;
    void pulumi.log.warn(`host ${name}: ${pending.join("; ")}. ${then}`, this.command);
  }
}

/** Of a host's declaration. */
export function preparationOf(host: HostSpec, { project, stack, cluster }: OwnerArgs): Preparation {
  const { prepare } = host;
  const isolated = cpusToIsolate(host);
  return {
    owner: `${project}/${stack}/${cluster}`,
    packages: prepare?.packages ?? false,
    accelerator: host.accelerator,
    hugepages: hugepagesOf(host).filter(({ sizeBytes }) => sizeBytes === prepare?.hugepages?.size),
    isolated: isolated.length === 0 ? "" : formatCpuSet(isolated),
    sysctl: prepare?.sysctl ?? {},
  };
}
