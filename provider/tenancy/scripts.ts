import { quote } from "../core/quote";
import { LEASES } from "../libvirt/script";

export interface LookOptions {
  readonly storage: string;
  readonly nonce: string;
  /** Machines that are not looked at: those that are where they should be. */
  readonly skip: readonly string[];
  /** Waits for what another run still does on the host. */
  readonly lock: boolean;
}

/**
 * All that may carry a mark, in sections: "machine NAME" (its state, then its definition), "network NAME", "file PATH" (its sidecar) and
 * "leases" (CPU, then the file's fields, tabs). Whose it is is for the reader to see.
 */
export function lookScript({ storage, nonce, skip, lock }: LookOptions): string {
  return `${lock ? "lock\n" : ""}section() { printf '%s %s\\n' ${quote(nonce)} "$1"; }
all=$(v list --all --name) || fail 'libvirt does not list its machines'
printf '%s\\n' "$all" | while IFS= read -r m; do
  case ${quote(` ${skip.join(" ")} `)} in *" $m "*) continue ;; esac
  [ -n "$m" ] || continue
  section "machine $m"; v domstate "$m" </dev/null; v dumpxml --inactive "$m" </dev/null
done
v net-list --all --name 2>/dev/null | sed 's/ *$//' | while IFS= read -r n; do
  [ -z "$n" ] || { section "network $n"; v net-dumpxml --inactive "$n" </dev/null; }
done
for f in ${quote(storage)}/*.kvmesh.json; do
  [ ! -e "$f" ] || { section "file \${f%.kvmesh.json}"; cat "$f"; }
done
section leases
for f in ${LEASES}/cpu-*; do
  [ ! -s "$f" ] || { printf '%s\\t' "\${f##*/cpu-}"; cat "$f"; }
done
`;
}
