/** A run from its first line to its last, however it ends: marked, alone, and with a word on what stays. */
import * as fs from "node:fs";
import * as path from "node:path";
import { Interrupted } from "../../command/errors";
import { exitCodes } from "../../command/exit-codes";
import { siteDir } from "../site";
import { asOnlyQuickstart } from "./lock";
import { endStarted, markProcess } from "./processes";
import type { Places } from "./session";
import { stackName } from "./stack-file";

type Say = (line: string) => void;

/**
 * Runs `work` as the only quickstart on the data folder, after what a killed one has left running was ended.
 * Ctrl-C ends what was started, says what stays, and ends this process.
 */
export async function asRun<T>(action: "up" | "destroy", places: Places, say: Say, work: () => Promise<T>): Promise<T> {
  const { data } = places;
  return asOnlyQuickstart(data, action, async () => {
    await endStarted(data, (line) => say(`  an earlier quickstart was killed: ${line}`));
    keepInside(data);
    const interrupts = catchInterrupts(places, say);
    try {
      return await Promise.race([work(), interrupts.ended]);
    } catch (error) {
      // What was ended under its hands complains, too.
      if (interrupts.pressed()) return await interrupts.ended;
      throw error;
    } finally {
      interrupts.forget();
      // What programs leave there goes with the run.
      fs.rmSync(path.join(data, "tmp"), { recursive: true, force: true });
    }
  });
}

/** What this process and those that it starts leave behind is in the data folder, which `--destroy` removes. */
function keepInside(data: string): void {
  markProcess(data);
  const temporary = path.join(data, "tmp");
  fs.rmSync(temporary, { recursive: true, force: true });
  fs.mkdirSync(temporary, { recursive: true, mode: 0o700 });
  process.env.TMPDIR = temporary;
  process.env.KUBECACHEDIR = path.join(data, "kube-cache");
  for (const kind of ["CACHE", "CONFIG", "DATA"]) process.env[`HELM_${kind}_HOME`] = path.join(data, "helm");
}

interface Interrupts {
  /** Rejects with Interrupted when everything has ended after Ctrl-C; never resolves. */
  readonly ended: Promise<never>;
  /** Whether Ctrl-C was pressed: what fails from then on fails because of it. */
  readonly pressed: () => boolean;
  readonly forget: () => void;
}

const SIGNALS: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];

function catchInterrupts({ checkout, data }: Places, say: Say): Interrupts {
  let count = 0;
  let finish: (reason: Error) => void = () => undefined;
  const ended = new Promise<never>((_, reject) => (finish = reject));
  ended.catch(() => undefined);
  const handler = (signal: NodeJS.Signals): void => {
    count += 1;
    if (count > 1) process.exit(exitCodes.interrupted);
    say(`\n${signal === "SIGINT" ? "Ctrl-C" : signal}: stopping; once more ends this at once`);
    void endStarted(data, (line) => say(`  ${line}`)).then(
      () => finish(new Interrupted(whatStays(checkout, data))),
      finish,
    );
  };
  for (const signal of SIGNALS) process.on(signal, handler);
  return {
    ended,
    pressed: () => count > 0,
    forget: () => {
      for (const signal of SIGNALS) process.removeListener(signal, handler);
    },
  };
}

/** What is left of a run that was stopped, and how it goes on or goes away. */
export function whatStays(checkout: string, data: string): string {
  const stackFile = path.join(checkout, `Pulumi.${stackName}.yaml`);
  const left = [
    ...(fs.existsSync(siteDir()) ? [`the site and its machines: they run on (${siteDir()})`] : []),
    ...(fs.existsSync(path.join(data, "state")) ? [`the stack's state, passphrase and reports (${data})`] : []),
    ...(fs.existsSync(stackFile) ? [path.basename(stackFile)] : []),
  ];
  if (left.length === 0) return "stopped; nothing stays but the cache";
  return [
    "stopped. `npm run quickstart` goes on from here; `npm run quickstart -- --destroy` removes what stays:",
    ...left.map((line) => `  ${line}`),
  ].join("\n");
}
