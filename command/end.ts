/** The one place where every command's errors end. */
import { endingOf, traceOf } from "./ending";

/** Says what went wrong on standard error and ends the process with the code for it. */
export function endWith(error: unknown): never {
  const { code, message } = endingOf(error);
  process.stderr.write(`kvmesh: ${message}\n`);
  if (process.env.KVMESH_DEBUG) process.stderr.write(`${traceOf(error)}\n`);
  process.exit(code);
}

/** What nothing else catches ends here too: a trace of Node.js's is for nobody who runs a command. */
export function catchEverything(): void {
  if (process.listeners("uncaughtException").includes(endWith)) return;
  process.on("uncaughtException", endWith);
  process.on("unhandledRejection", endWith);
  for (const stream of [process.stdout, process.stderr]) {
    // Who reads what we say has enough of it (`| head`).
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit();
      throw error;
    });
  }
}

/** Runs a command to its end: its exit code becomes the process's; what it throws is said. */
export function runCommand(command: () => number | Promise<number>): void {
  catchEverything();
  Promise.resolve()
    .then(command)
    .then((code) => {
      process.exitCode = code;
    }, endWith);
}
