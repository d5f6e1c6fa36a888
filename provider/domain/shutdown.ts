import type { Context } from "../core/kind";

/**
 * From the request to shut down until the plug is pulled. systemd gives services 90 s, and then what is left of containers another
 * 90 s: a node whose containerd-shim did not end was seen to be off after nearly two minutes. The same for a machine that is
 * removed: disks of data outlive it, and are not to be torn from under it.
 */
export const SHUTDOWN_SECONDS = 240;

/** Of a script that shuts a machine down: beside that it may wait 300 s for the host's lock. */
export const SHUTDOWN_TIMEOUT_MS = (SHUTDOWN_SECONDS + 360) * 1000;

/** Seconds that a machine gets to shut down: half of what customTimeouts leave, when that is less. */
export function grace({ deadline }: Context): number {
  const left = deadline === undefined ? Infinity : Math.floor((deadline - Date.now()) / 1000 / 2);
  return Math.max(1, Math.min(SHUTDOWN_SECONDS, left));
}

/**
 * Part of a script: asks the machine `$m` (name or UUID) to shut down, then pulls the plug. Defines `state` and `is_off` for what
 * follows: a machine is gone when libvirt says so, and not when libvirt is away for a moment. It takes a while, so it comes before the host's lock.
 */
export function shutDown(graceSeconds: number): string {
  return `state() {
  said=$(v domstate "$m" 2>&1) || case $said in *"failed to get domain"*) said=gone ;; esac
  printf '%s\\n' "$said"
}
is_off() { s=$(state); [ "$s" = "shut off" ] || [ "$s" = gone ]; }
if ! is_off; then
  # A paused guest hears nothing.
  [ "$(state)" != paused ] || v resume "$m" >/dev/null 2>&1 || true
  v shutdown "$m" >/dev/null 2>&1 || true
  i=0
  while [ $i -lt ${graceSeconds} ] && ! is_off; do
    i=$((i + 1))
    [ $((i % 5)) != 0 ] || echo "shutting down: $i of ${graceSeconds} s"
    sleep 1
  done
  is_off || v destroy "$m" >/dev/null || is_off
fi
`;
}
