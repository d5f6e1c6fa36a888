import { quote } from "../core/quote";

/** Tools of administrators are not on the PATH of every non-interactive login. */
const SETUP = 'PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"; LC_ALL=C; export PATH LC_ALL\n';

export interface RemoteCommand {
  readonly command: string;
  /** Goes to standard input before anything else. */
  readonly prefix: Buffer;
}

/**
 * A command line that reads its script from standard input and leaves the rest there to the script: neither the script nor
 * its data are seen in the list of processes. `timeout` on the machine ends the whole process group, also when the connection is gone.
 */
export function remoteCommand(script: string, user: string, timeoutSeconds: number): RemoteCommand {
  const prefix = Buffer.from(SETUP + script, "utf8");
  const shell = `sh -c ${quote(`eval "$(head -c ${prefix.length})"`)}`;
  const limited = `timeout --kill-after=5 ${timeoutSeconds} ${shell}`;
  return { command: user === "root" ? limited : `sudo -n -- ${limited}`, prefix };
}
