import * as net from "node:net";

/** What a command ends with. */
export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export type Tool = (args: readonly string[]) => Answer | Promise<Answer>;

/**
 * Runs the host's stand-in commands in this process: the command on PATH is a few lines of shell that ask over loopback, because
 * starting a Node.js for each of the hundreds of calls would take most of a test's time.
 */
export class ToolServer {
  private readonly server: net.Server;

  constructor(tools: Readonly<Record<string, Tool>>) {
    this.server = net.createServer((socket) => {
      let received = "";
      socket.setEncoding("utf8");
      socket.on("error", () => undefined);
      socket.on("data", (data: string) => {
        received += data;
        // "<number of words>\n", then each word with a NUL behind it.
        const [count, words] = split(received, "\n");
        const all = words?.split("\0");
        if (count === undefined || all === undefined || all.length <= Number(count)) return;
        const [name = "", ...args] = all.slice(0, Number(count));
        void answer(tools[name], args).then((text) => socket.end(text));
      });
    });
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
  }

  close(): void {
    this.server.close();
  }

  /** Text of the executable that stands for a tool; `first`: its first word; `input`: with `-` as its last word, what it reads becomes one more. */
  stub(name: string, { first, input = false }: { readonly first?: string; readonly input?: boolean } = {}): string {
    const port = (this.server.address() as net.AddressInfo).port;
    return `#!/bin/bash
${input ? '[ "${!#}" != - ] || set -- "$@" "$(cat)"\n' : ""}${first === undefined ? "" : `set -- ${first} "$@"\n`}exec 3<>/dev/tcp/127.0.0.1/${port}
printf '%d\\n' $(($# + 1)) >&3
printf '%s\\0' ${name} "$@" >&3
read -r code length <&3
head -c "$length" <&3
cat <&3 >&2
exit "$code"
`;
  }
}

async function answer(tool: Tool | undefined, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(tool, args);
  return `${code} ${Buffer.byteLength(stdout)}\n${stdout}${stderr}`;
}

async function run(tool: Tool | undefined, args: readonly string[]): Promise<Answer> {
  try {
    return tool ? await tool(args) : { code: 127, stdout: "", stderr: "not found\n" };
  } catch (error) {
    return { code: 70, stdout: "", stderr: `the simulated host failed: ${String(error)}\n` };
  }
}

function split(text: string, at: string): [string | undefined, string | undefined] {
  const i = text.indexOf(at);
  return i < 0 ? [undefined, undefined] : [text.slice(0, i), text.slice(i + 1)];
}
