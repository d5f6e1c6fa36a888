import * as os from "node:os";
import * as readline from "node:readline/promises";
import { describeCommand, needed, parseLine } from "../../command/parse";
import { runCommand } from "../../command/end";
import { UsageError } from "../../command/errors";
import { kvmeshConfig, readYaml, type Tree } from "../../command/stack-file";
import { owner as ownerSchema, type Owner } from "../../provider/core/check";
import { UserError } from "../../provider/core/kind";
import { adopt, planAdoption } from "../../provider/domain/adopt";
import { SshTransport } from "../../provider/transport/ssh";
import { toolContext } from "../facts/context";
import { hostsIn } from "../facts/hosts";
import { checkoutRoot } from "../toolchain/cache";
import { planText, refusalOf } from "./plan";

const WHAT = `Puts this stack's mark on a machine that it did not make, and on its disks, and leases the cores that it is pinned to.
The machine is neither stopped nor defined anew. Shows what it will do and asks. Afterwards \`pulumi import\` takes it into the stack's state.`;

async function main(): Promise<number> {
  const command = describeCommand({ start: "npm run adopt --", what: WHAT, example: "--stack prod osl1-a legacy-db" })
    .argument("<HOST>", "a name in kvmesh:hosts")
    .argument("<MACHINE>", "the machine's name or UUID on the host")
    .option("--stack <NAME>", "Pulumi.NAME.yaml, which names the host")
    .option("--yes", "do not ask")
    .option("--drop-unmodelled", "also a machine that kvmesh can't describe in full: its next change drops the rest");
  if (!parseLine(command, process.argv.slice(2))) return 0;
  const { yes, dropUnmodelled, ...options } = command.opts();
  const stack = needed(options.stack, "--stack NAME");
  const [hostName, machine] = command.processedArgs;
  const file = `Pulumi.${stack}.yaml`;
  const stackFile = readYaml(checkoutRoot(), file);
  const { identityFile, hosts } = hostsIn(stackFile, file);
  const host = hosts.find(({ name }) => name === hostName);
  if (!host) {
    const there = hosts.map(({ name }) => name).join(", ") || "none; declare it in kvmesh:hosts first";
    throw new UsageError(`${file} has no host ${hostName}; it has ${there}`);
  }
  const transport = new SshTransport({
    identityFile: identityFile?.replace(/^~(?=\/)/, os.homedir()),
    connectTimeoutSeconds: 15,
    attempts: 2,
  });
  try {
    const ctx = toolContext(transport);
    const adoption = await planAdoption(ctx, host.endpoint, machine, ownerIn(stackFile, stack));
    const refused = refusalOf(adoption, dropUnmodelled === true);
    if (refused !== undefined) throw new UserError(refused);
    console.log(planText(adoption, hostName));
    if (yes !== true && !(await confirmed())) {
      console.log("Nothing was done.");
      return 0;
    }
    await adopt(ctx, adoption);
    console.log(`adopted. Next, into the state of the stack ${stack}: docs/import.md`);
    return 0;
  } finally {
    transport.close();
  }
}

/** As index.ts marks what it makes. */
function ownerIn(stackFile: Tree, stack: string): Owner {
  const { cluster, environment } = kvmeshConfig(stackFile, `Pulumi.${stack}.yaml`);
  const result = ownerSchema.safeParse({
    project: readYaml(checkoutRoot(), "Pulumi.yaml")["name"],
    stack,
    cluster: cluster ?? stack,
    environment: environment ?? "development",
  });
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => `kvmesh:${issue.path.join(".")} ${issue.message}`);
  throw new UsageError(`Pulumi.${stack}.yaml: ${faults.join("; ")}`);
}

async function confirmed(): Promise<boolean> {
  if (!process.stdin.isTTY) throw new UsageError("nobody can be asked here: add --yes");
  const asked = readline.createInterface({ input: process.stdin, output: process.stdout });
  const answer = await asked.question("Adopt it? (yes/no) ");
  asked.close();
  return answer.trim().toLowerCase() === "yes";
}

runCommand(main);
