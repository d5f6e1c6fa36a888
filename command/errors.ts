/** The command line, or a file that a command reads, is wrong: ends with exit code 2. The message says what to do. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Ended by Ctrl-C, with exit code 130. The message says what stays. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}
