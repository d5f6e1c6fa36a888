/** What every command's exit code means; docs/commands.md has the same table. */
export const exitCodes = {
  done: 0,
  /** The work was done, and its answer is no: a difference, a misfit, a check that does not hold. */
  no: 1,
  /** The command line or a file that it names is wrong. Nothing was begun. */
  usage: 2,
  /** The input is right, and the work could not be done: a host, the network, a disk, another program. */
  failed: 3,
  /** What it watched was broken off (interrupted, killed, a log cut off), so that there is no answer. */
  brokenOff: 4,
  /** A fault of kvmesh itself. */
  fault: 5,
  /** Ended by Ctrl-C, as the shell counts it. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
