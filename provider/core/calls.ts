import { UserError } from "./kind";

/** The calls under way, so that Ctrl-C and the engine's timeouts end them. */
export class Calls {
  private readonly running = new Set<AbortController>();
  private cancelled = false;

  /** Ctrl-C: every call under way, and every later one, ends. */
  cancel(): void {
    this.cancelled = true;
    for (const controller of this.running) controller.abort(stopped());
  }

  /** Runs one call with a signal that is aborted on cancel and after the engine's timeout (seconds; 0: none). */
  async run<T>(
    timeoutSeconds: number,
    call: (signal: AbortSignal, deadline: number | undefined) => Promise<T>,
  ): Promise<T> {
    const controller = new AbortController();
    if (this.cancelled) controller.abort(stopped());
    this.running.add(controller);
    const timer =
      timeoutSeconds > 0
        ? setTimeout(
            () => controller.abort(new UserError(`not done after ${timeoutSeconds} s (customTimeouts)`)),
            timeoutSeconds * 1000,
          )
        : undefined;
    try {
      return await call(controller.signal, timeoutSeconds > 0 ? Date.now() + timeoutSeconds * 1000 : undefined);
    } finally {
      clearTimeout(timer);
      this.running.delete(controller);
    }
  }
}

function stopped(): UserError {
  return new UserError("cancelled; run `pulumi up` to continue");
}
