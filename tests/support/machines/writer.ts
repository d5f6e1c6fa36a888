import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";

export interface Target {
  readonly host: string;
  readonly port: number;
  /** Base64 of PEM, as a kubeconfig has them. */
  readonly cert: string;
  readonly key: string;
}

export interface Written {
  /** Writes that the API acknowledged. */
  readonly acknowledged: number;
  /** Of those, what is not there at the end. */
  readonly lost: readonly string[];
  /** The longest time between two acknowledged writes, milliseconds. */
  readonly longestGapMs: number;
  /** Of every gap above a second: when it began, in milliseconds since the first write, and how long it was. */
  readonly gaps: readonly { readonly atMs: number; readonly ms: number }[];
}

const PATH = "/api/v1/namespaces/default/configmaps";
/** One write begins so long after the last one ended. */
const PAUSE_MS = 50;
/** An answer that takes longer is no acknowledgement. */
const TIMEOUT_MS = 2000;
/** A writer that nobody stops ends by itself. */
const MOST = { writes: 20_000, ms: 30 * 60_000 };

/** A process that writes to the API, one after the other, and counts what was acknowledged. */
export class Writer {
  private constructor(private readonly child: ChildProcess) {}

  static async start(target: Target): Promise<Writer> {
    // It ends with this process: its channel does.
    const child = fork(__filename, [], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    child.send(target);
    await once(child, "message");
    return new Writer(child);
  }

  /** Ends it; what it has written is read again, which must come to an end within two minutes. */
  async stop(): Promise<Written> {
    const result = once(this.child, "message") as Promise<[Written]>;
    this.child.send("stop");
    const [written] = await result;
    this.child.kill();
    return written;
  }
}

async function write(target: Target): Promise<void> {
  const state = { stopped: false };
  process.on("message", () => {
    state.stopped = true;
  });
  const prefix = `w${process.pid}-`;
  const acknowledged: { readonly name: string; readonly at: number }[] = [];
  const started = Date.now();
  for (let count = 0; !state.stopped && count < MOST.writes && Date.now() - started < MOST.ms; count++) {
    const name = `${prefix}${count}`;
    const answer = await ask(target, "POST", PATH, { metadata: { name, labels: { writer: prefix.slice(0, -1) } } });
    if (answer?.code === 201) {
      if (acknowledged.length === 0) process.send!("writing");
      acknowledged.push({ name, at: Date.now() });
    }
    await sleep(PAUSE_MS);
  }
  while (!state.stopped) await sleep(PAUSE_MS);
  const there = await readAll(target, prefix.slice(0, -1));
  const lost = acknowledged.filter(({ name }) => !there.has(name)).map(({ name }) => name);
  const gaps = acknowledged.slice(1).map(({ at }, i) => ({
    ...{ atMs: acknowledged[i]!.at - started, ms: at - acknowledged[i]!.at },
  }));
  const written: Written = {
    ...{ acknowledged: acknowledged.length, lost, gaps: gaps.filter(({ ms }) => ms > 1000) },
    longestGapMs: Math.max(0, ...gaps.map(({ ms }) => ms)),
  };
  process.send!(written);
}

async function readAll(target: Target, writer: string): Promise<ReadonlySet<string>> {
  const end = Date.now() + 120_000;
  while (Date.now() < end) {
    const answer = await ask(target, "GET", `${PATH}?labelSelector=writer%3D${writer}`, undefined, 20_000);
    if (answer?.code === 200) {
      const { items } = JSON.parse(answer.text) as { items: { metadata: { name: string } }[] };
      return new Set(items.map((item) => item.metadata.name));
    }
    await sleep(1000);
  }
  throw new Error("what was written could not be read for two minutes");
}

/** A new connection each time: the endpoint may lead to another API server by now. */
function ask(
  target: Target,
  method: string,
  path: string,
  body?: object,
  timeout = TIMEOUT_MS,
): Promise<{ readonly code: number; readonly text: string } | undefined> {
  return new Promise((resolve) => {
    const request = https.request(
      {
        ...{ host: target.host, port: target.port, method, path, agent: false, rejectUnauthorized: false },
        ...{ cert: Buffer.from(target.cert, "base64"), key: Buffer.from(target.key, "base64") },
        headers: { "content-type": "application/json" },
      },
      (response) => {
        let text = "";
        response.on("data", (data: Buffer) => (text += data.toString()));
        response.on("end", () => {
          clearTimeout(timer);
          resolve({ code: response.statusCode ?? 0, text });
        });
        response.on("error", () => {
          resolve(undefined);
        });
      },
    );
    const timer = setTimeout(() => request.destroy(new Error("slow")), timeout);
    request.on("error", () => {
      clearTimeout(timer);
      resolve(undefined);
    });
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

if (require.main === module) {
  // The tests are gone: nobody asks any more.
  process.on("disconnect", () => process.exit());
  process.once("message", (target: Target) => {
    void write(target);
  });
}
