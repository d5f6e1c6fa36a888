import { randomBytes } from "node:crypto";
import { quote } from "../core/quote";
import { UserError, type Context } from "../core/kind";
import type { Endpoint } from "../transport/transport";
import { RUN_DIR } from "./paths";
import { repeatable } from "./reach";

export interface Job {
  /** Names its folder below /run/kvmesh; one job of a name runs at a time. */
  readonly name: string;
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
  let seen = 0;
  let code: number | undefined;
  await ctx.transport.script(at, jobScript(job, run), {
    ...repeatable(ctx, job.timeoutMs),
    onLine: (line) => {
      // A new connection follows from the first line again.
      const [, number, text = ""] = /^(\d+|rc) ?(.*)$/.exec(line) ?? [];
      // No number: the job was killed before it could leave one.
      if (number === "rc") code = text === "" ? undefined : Number(text);
      else if (Number(number) > seen) {
        seen = Number(number);
        job.onLine(text);
      }
    },
  });
  if (code === undefined) {
    throw new UserError(
      `${at.address}: ${job.name} did not end within ${Math.round(job.timeoutMs / 1000)} s, or was killed; ` +
        `run \`pulumi up\` again: it goes on where this one was (log: ${RUN_DIR}/${job.name}/log on the machine)`,
    );
  }
  return code;
}

/**
 * The lock `running` is held by flock itself while the job lives (-o: not by the job's children), so that no stale pid is
 * ever believed. `timeout` ends a job that nobody follows any more.
 */
function jobScript(job: Job, run: string): string {
  const limit = Math.ceil(job.timeoutMs / 1000) + 60;
  const inner = `${job.command}\necho $? >rc.new && mv rc.new rc`;
  return `umask 077
mkdir -p ${RUN_DIR}/${job.name} && cd ${RUN_DIR}/${job.name} || exit 1
exec 9>starting && flock 9
if flock -n running true && [ "$(cat run 2>/dev/null)" != ${run} ]; then
  rm -f rc; : >log; echo ${run} >run
  setsid flock -o running timeout -k 10 ${limit} sh -c ${quote(inner)} >log 2>&1 </dev/null 9>&- &
  # Not before the job holds its lock may anyone ask whether it runs.
  while flock -n running true && [ ! -e rc ] && kill -0 $! 2>/dev/null; do sleep 0.1; done
fi
flock -u 9
from=0
while :; do
  ended=no; flock -n running true && ended=yes
  to=$(wc -l <log); [ $ended = yes ] && to=999999999
  awk -v from="$from" -v to="$to" 'NR > from && NR <= to { print NR " " $0 }' log
  from=$to
  [ $ended = yes ] && break
  sleep 1
done
echo "rc $(cat rc 2>/dev/null)"
`;
}
