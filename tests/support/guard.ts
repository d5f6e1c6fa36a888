import { spawn } from "node:child_process";

/**
 * Has sh run `script` when this process ends before it calls what is returned: interrupted, killed, out of time. The guard waits, in a
 * session of its own, for the end of a pipe that only this process holds; no signal to the tests reaches it.
 */
export function guard(script: string, env: Readonly<Record<string, string>> = {}): () => void {
  const child = spawn("sh", ["-c", `read -r _ || {\n${script}\n}`], {
    detached: true,
    cwd: "/",
    env: { ...process.env, ...env },
    // The reader of this process's output may be gone too.
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.unref();
  (child.stdin as typeof child.stdin & { unref(): void }).unref();
  return () => void child.stdin.end("done\n");
}

/** Arguments of setpriv: the program after them is killed when this process ends. */
export const UNTIL_THIS_ENDS = ["--pdeathsig", "KILL"] as const;

/** What a folder's owner leaves in it may still be ending. */
export function guardFolder(folder: string): () => void {
  return guard('for i in 1 2 3 4 5; do rm -rf -- "$GUARDED" && break; sleep 1; done', { GUARDED: folder });
}
