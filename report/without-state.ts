import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { isMap, parseDocument, visit } from "yaml";

const run = promisify(execFile);

/** A backend of its own for one preview, in a temporary folder. */
export interface EmptyBackend {
  readonly env: NodeJS.ProcessEnv;
  /** For the CLI. */
  readonly args: readonly string[];
  readonly notes: readonly string[];
  dispose(): void;
}

const NOTE =
  "This is a preview from committed facts alone: the stack's own state was not read, so every resource is shown as new, and " +
  "machines may stand on other cores than those that they have.";

/**
 * For a pull request from a fork, which has no secrets: neither a login nor the key of encrypted values is needed. The stack
 * file is copied without what is encrypted.
 */
export async function emptyBackend(
  cwd: string,
  stack: string,
  stackFile: string,
  env: NodeJS.ProcessEnv,
): Promise<EmptyBackend> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "kvmesh-no-state-"));
  const dispose = (): void => {
    fs.rmSync(folder, { recursive: true, force: true });
  };
  try {
    const state = path.join(folder, "state");
    const project = path.join(folder, "project");
    for (const each of [state, project]) fs.mkdirSync(each);
    fs.copyFileSync(path.join(cwd, "Pulumi.yaml"), path.join(project, "Pulumi.yaml"));
    const name = stack.split("/").at(-1)!;
    const copy = path.join(project, `Pulumi.${name}.yaml`);
    const left = copyWithoutSecrets(stackFile, copy);
    const own = {
      ...env,
      PULUMI_BACKEND_URL: `file://${state}`,
      PULUMI_CONFIG_PASSPHRASE: randomBytes(24).toString("hex"),
    };
    // A stack of this name in this folder; it writes its salt into the copy.
    await run("pulumi", ["stack", "init", name, "--non-interactive"], { cwd: project, env: own });
    const notes = left === 0 ? [NOTE] : [NOTE, `${left} encrypted values of the stack file were left out.`];
    return { env: own, args: ["--config-file", copy], notes, dispose };
  } catch (error) {
    dispose();
    throw new Error(`a backend without state can't be made: ${(error as Error).message.split("\n")[0]!}`);
  }
}

/** @returns how many values were left out. */
function copyWithoutSecrets(from: string, to: string): number {
  const document = parseDocument(fs.existsSync(from) ? fs.readFileSync(from, "utf8") : "config: {}");
  let left = 0;
  for (const key of ["encryptionsalt", "encryptedkey", "secretsprovider"]) document.delete(key);
  visit(document, {
    Pair: (_, { value }) => {
      if (!isMap(value) || !value.has("secure")) return undefined;
      left += 1;
      return visit.REMOVE;
    },
  });
  fs.writeFileSync(to, document.toString());
  return left;
}
