import type { Context } from "../core/kind";

/** Seconds that a machine gets to shut down until the plug is pulled: half of what customTimeouts leave, when that is less than `most`. */
export function grace({ deadline }: Context, most: number): number {
  const left = deadline === undefined ? Infinity : Math.floor((deadline - Date.now()) / 1000 / 2);
  return Math.max(1, Math.min(most, left));
}

/**
 * Part of a script: asks the machine `$m` (name or UUID) to shut down, then pulls the plug. Defines `state` and `is_off` for what
 * follows. It takes a while, so it comes before the host's lock.
 */
export function shutDown(graceSeconds: number): string {
  return `state() { v domstate "$m" 2>/dev/null || echo gone; }
is_off() { s=$(state); [ "$s" = "shut off" ] || [ "$s" = gone ]; }
if ! is_off; then
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
