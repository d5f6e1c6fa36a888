/** Where an SSH server is, as it stands in a resource's inputs after check. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly user: string;
  readonly hostKey: string;
  readonly bastion?: Omit<Endpoint, "bastion">;
}

export interface RunOptions {
  /** Passed on standard input; secrets go here, never into arguments. */
  readonly stdin?: string | Buffer;
  /** Default 60 s. The remote process group is ended when the time is over. */
  readonly timeoutMs?: number;
  /** Called with each complete line of standard output as it comes. */
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal;
  /** Told about each new attempt; a resource's handler need not set it. */
  readonly progress?: (message: string) => void;
  /**
   * True: running it twice, even at once, does no harm, so that it is run again when the connection breaks in the middle.
   * Default false: a break in the middle is an error that says so; connecting is tried again in either case.
   */
  readonly idempotent?: boolean;
}

export type WaitOptions = Pick<RunOptions, "signal" | "progress">;

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Commands on machines over SSH: one multiplexed connection an endpoint, host keys always checked, bounded sessions,
 * broken connections opened again with bounded backoff.
 */
export interface Transport {
  /** Runs a POSIX shell script as root (through `sudo -n` where the user is not root); a non-zero exit is returned, not thrown. */
  script(at: Endpoint, script: string, options?: RunOptions): Promise<RunResult>;
  /** Writes a file atomically (temporary name, fsync, rename), mode as given. */
  writeFile(at: Endpoint, path: string, content: Buffer | string, mode: number, options?: WaitOptions): Promise<void>;
  /** Streams a local file to a path on the machine; sparse regions stay sparse. */
  upload(
    at: Endpoint,
    localPath: string,
    remotePath: string,
    onProgress?: (sent: number, total: number) => void,
    options?: WaitOptions,
  ): Promise<void>;
  /**
   * Waits until SSH answers with the pinned key; progress is called about every 5 s.
   * Throws UserError on a wrong key at once, and when the time is over.
   */
  waitUntilReachable(
    at: Endpoint,
    timeoutMs: number,
    progress: (message: string) => void,
    signal?: AbortSignal,
  ): Promise<void>;
  close(): void;
}
