import { expect } from "chai";
import { spawn, type SpawnOptions } from "node:child_process";
import * as path from "node:path";
import { checkoutRoot } from "../../tools/toolchain/cache";

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The programs of package.json's scripts: "quickstart" → tools/quickstart/cli. */
export function programs(): ReadonlyMap<string, string> {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { scripts } = require(path.join(checkoutRoot(), "package.json")) as { scripts: Record<string, string> };
  const found = Object.entries(scripts).flatMap(([name, command]): [string, string][] => {
    const program = /^node bin\/run\.cjs (\S+)/.exec(command)?.[1];
    return program === undefined ? [] : [[name, program]];
  });
  return new Map(found);
}

/** Runs a command of package.json as `npm run` does. `wrapper` stands in front of it: ["unshare", "--net"]. */
export function runScript(
  name: string,
  args: readonly string[],
  options: SpawnOptions & { readonly wrapper?: readonly string[] } = {},
): Promise<Ended> {
  const program = programs().get(name);
  if (program === undefined) throw new Error(`package.json has no script ${name}`);
  const { wrapper = [], ...spawning } = options;
  const line = [...wrapper, process.execPath, path.join(checkoutRoot(), "bin/run.cjs"), program, ...args];
  return ended(line, spawning);
}

export function ended([command, ...args]: readonly string[], options: SpawnOptions): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(command!, args, { cwd: checkoutRoot(), ...options, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}

/** What no person should have to read. */
export function expectNoTrace({ stdout, stderr }: Ended): void {
  expect(`${stdout}${stderr}`, "a stack trace").not.to.match(/\n\s+at \S.*:\d+/);
  expect(`${stdout}${stderr}`, "an error's class in front of its message").not.to.match(
    /^(Uncaught |node:)|\n\w*Error: /,
  );
  expect(`${stdout}${stderr}`).not.to.contain("a fault of kvmesh itself");
}
