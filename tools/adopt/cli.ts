import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as readline from "node:readline/promises";
import { parseArgs } from "node:util";
import { parse } from "yaml";
import { ConfigError } from "../../config";
import { owner as ownerSchema, type Owner } from "../../provider/core/check";
import { UserError } from "../../provider/core/kind";
import { adopt, planAdoption } from "../../provider/domain/adopt";
import { SshTransport } from "../../provider/transport/ssh";
import { toolContext } from "../facts/context";
import { hostsIn } from "../facts/hosts";
import { planText, refusalOf } from "./plan";

const USAGE = `npm run adopt -- --stack NAME HOST MACHINE [--yes] [--drop-unmodelled]

Puts this stack's mark on a machine that it did not make, and on its disks, and leases the cores that it is pinned to. The machine is
neither stopped nor defined anew. Shows what it will do and asks. Afterwards \`pulumi import\` takes it into the stack's state.
  --stack NAME        Pulumi.NAME.yaml, which names the host
  HOST MACHINE        a name in kvmesh:hosts, and the machine's name or UUID on it
  --yes               do not ask
  --drop-unmodelled   also a machine that kvmesh can't describe in full: its next change drops the rest`;

const checkout = path.resolve(__dirname, "../../..");

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: {
      stack: { type: "string" },
      yes: { type: "boolean", default: false },
      "drop-unmodelled": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  const [hostName, machine] = positionals;
  if (values.help || values.stack === undefined || hostName === undefined || machine === undefined) {
    console.log(USAGE);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const file = `Pulumi.${values.stack}.yaml`;
  const stackFile = read(file);
  const { identityFile, hosts } = hostsIn(stackFile, file);
  const host = hosts.find(({ name }) => name === hostName);
  if (!host) throw new UserError(`${file} has no host ${hostName}; it has ${hosts.map(({ name }) => name).join(", ")}`);
  const transport = new SshTransport({
    identityFile: identityFile?.replace(/^~(?=\/)/, os.homedir()),
    connectTimeoutSeconds: 15,
    attempts: 2,
  });
  try {
    const ctx = toolContext(transport);
    const adoption = await planAdoption(ctx, host.endpoint, machine, ownerIn(stackFile, values.stack));
    const refused = refusalOf(adoption, values["drop-unmodelled"]);
    if (refused !== undefined) throw new UserError(refused);
    console.log(planText(adoption, hostName));
    if (!values.yes && !(await confirmed())) {
      console.log("Nothing was done.");
      return;
    }
    await adopt(ctx, adoption);
    console.log(`adopted. Next, into the state of the stack ${values.stack}: docs/import.md`);
  } finally {
    transport.close();
  }
}

/** As index.ts marks what it makes. */
function ownerIn(stackFile: Readonly<Record<string, unknown>>, stack: string): Owner {
  const config = (stackFile["config"] ?? {}) as Readonly<Record<string, unknown>>;
  const result = ownerSchema.safeParse({
    project: read("Pulumi.yaml")["name"],
    stack,
    cluster: config["kvmesh:cluster"] ?? stack,
    environment: config["kvmesh:environment"] ?? "development",
  });
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => `kvmesh:${issue.path.join(".")} ${issue.message}`);
  throw new UserError(`Pulumi.${stack}.yaml: ${faults.join("; ")}`);
}

function read(file: string): Readonly<Record<string, unknown>> {
  const at = path.join(checkout, file);
  if (!fs.existsSync(at)) throw new UserError(`there is no ${file} in the checkout`);
  return parse(fs.readFileSync(at, "utf8")) as Readonly<Record<string, unknown>>;
}

async function confirmed(): Promise<boolean> {
  if (!process.stdin.isTTY) throw new UserError("nobody can be asked here: add --yes");
  const asked = readline.createInterface({ input: process.stdin, output: process.stdout });
  const answer = await asked.question("Adopt it? (yes/no) ");
  asked.close();
  return answer.trim().toLowerCase() === "yes";
}

main().catch((error: unknown) => {
  const known = error instanceof UserError || error instanceof ConfigError;
  console.error(known ? error.message : error);
  process.exitCode = 1;
});
