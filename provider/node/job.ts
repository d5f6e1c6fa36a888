import { randomBytes } from "node:crypto";
import { quote } from "../core/quote";
import { UserError, type Context } from "../core/kind";
import type { Endpoint } from "../transport/transport";
import { RUN_DIR } from "./paths";
import { repeatable } from "./reach";

export interface Job {
  /** Names its folder below /run/kvmesh; one job of a slot runs at a time. */
  readonly slot: string;
  /** What it does, one word: "join". Another run that asks for the same follows this one. */
  readonly what: string;
  /** POSIX shell; must hold no secret. */
  readonly command: string;
  readonly timeoutMs: number;
  readonly onLine: (line: string) => void;
}

/**
 * Runs a long command on a machine so that it does not depend on the connection: it goes on when SSH drops or Pulumi is
 * interrupted, and whoever comes next follows the one that runs instead of starting a second. Returns its exit code.
 */
export async function runJob(ctx: Context, at: Endpoint, job: Job): Promise<number> {
  const run = randomBytes(8).toString("hex");
  const limit = Math.ceil(job.timeoutMs / 1000) + 60;
  const inner = `${job.command}\necho $? >rc.new && mv rc.new rc`;
  // `running` is held by flock itself while the job lives (-o: not by the job's children), so that no stale pid is ever believed.
  // Those who ask take it shared, so that they do not see each other. `timeout` ends a job that nobody follows any more.
  const start = `if flock -sn running true; then
  if [ "$(cat run 2>/dev/null)" != ${run} ]; then
    rm -f rc; : >log; echo ${run} >run; echo ${job.what} >what
    setsid flock -o running timeout -k 10 ${limit} sh -c ${quote(inner)} >log 2>&1 </dev/null 9>&- &
    # Not before the job holds its lock may anyone ask whether it runs.
    while flock -sn running true && [ ! -e rc ] && kill -0 $! 2>/dev/null; do sleep 0.1; done
  fi
elif [ "$(cat what 2>/dev/null)" != ${job.what} ]; then
  echo "busy $(cat what 2>/dev/null)"; exit 0
fi`;
  return follow(ctx, at, job, start);
}

/** Waits for the job that runs in a slot, whatever it does; undefined: it left no exit code, or there was none. */
export async function followJob(
  ctx: Context,
  at: Endpoint,
  job: Pick<Job, "slot" | "timeoutMs" | "onLine">,
): Promise<void> {
  await follow(ctx, at, { ...job, what: "what runs there" }, ":").catch((error: unknown) => {
    // How it ended is seen on the machine; only not having ended yet is a reason to stop.
    if (!(error instanceof NoCode)) throw error;
  });
}

class NoCode extends UserError {}

async function follow(ctx: Context, at: Endpoint, job: Omit<Job, "command">, start: string): Promise<number> {
  let seen = 0;
  let code: number | undefined;
  let busy: string | undefined;
  await ctx.transport.script(at, followScript(job.slot, start), {
    ...repeatable(ctx, job.timeoutMs),
    onLine: (line) => {
      // A new connection follows from the first line again.
      const [, number, text = ""] = /^(\d+|rc|busy) ?(.*)$/.exec(line) ?? [];
      if (number === "busy") busy = text;
      // No number: the job was killed before it could leave one.
      else if (number === "rc") code = text === "" ? undefined : Number(text);
      else if (Number(number) > seen) {
        seen = Number(number);
        job.onLine(text);
      }
    },
  });
  if (busy !== undefined) {
    throw new UserError(
      `${at.address}: kubeadm ${busy} of another run goes on there, so ${job.what} was not begun; run again when it has ended`,
    );
  }
  if (code !== undefined) return code;
  throw new NoCode(
    `${at.address}: ${job.slot} ${job.what} did not end within ${Math.round(job.timeoutMs / 1000)} s, or was killed; ` +
      `run \`pulumi up\` again: it goes on where this one was (log: ${RUN_DIR}/${job.slot}/log on the machine)`,
  );
}

function followScript(slot: string, start: string): string {
  return `umask 077
mkdir -p ${RUN_DIR}/${slot} && cd ${RUN_DIR}/${slot} || exit 1
exec 9>starting && flock 9
${start}
flock -u 9
from=0
while :; do
  ended=no; flock -sn running true && ended=yes
  to=$(wc -l <log); [ $ended = yes ] && to=999999999
  awk -v from="$from" -v to="$to" 'NR > from && NR <= to { print NR " " $0 }' log
  from=$to
  [ $ended = yes ] && break
  sleep 1
done
echo "rc $(cat rc 2>/dev/null)"
`;
}
