import { CLAIMS } from "../blockdevice/scripts";
import { quote } from "../core/quote";
import { LIBVIRT_GONE } from "../libvirt/gone";
import { LEASES } from "../libvirt/script";
import { reportCommand } from "../lvm/report";

export interface LookOptions {
  readonly storage: string;
  readonly nonce: string;
  /** Waits for what another run still does on the host. */
  readonly lock: boolean;
}

/**
 * All that may carry a mark, in sections: "machine UUID" (its state, then its definition), "network UUID", "file PATH" (its sidecar),
 * "volumes" (LVM's report, where there is LVM), "leases" (CPU, then the file's fields, tabs), "devices" (claim, then the file's fields), and "still": the machines after all that. Whose
 * it is is for the reader to see. One virsh lists, and one asks for all. A host without libvirt has no machines; the rest may be there.
 */
export function lookScript({ storage, nonce, lock }: LookOptions): string {
  return `${lock ? "lock\n" : ""}section() { printf '%s %s\\n' ${quote(nonce)} "$1"; }
${LIBVIRT_GONE}code=0
machines=$(v list --all --uuid) || code=$?
case $code in
  0)
    ask=
    for u in $machines; do
      ask="$ask echo '
${nonce} machine $u
'; domstate $u; dumpxml --inactive $u;"
    done
    for u in $(v net-list --all --uuid 2>/dev/null || :); do
      ask="$ask echo '
${nonce} network $u
'; net-dumpxml --inactive $u;"
    done
    v "$ask echo '
${nonce} still
'; list --all --uuid" || fail 'libvirt does not answer'
    ;;
  *) libvirt_gone "$code" || fail 'libvirt does not list its machines: is its daemon running?' ;;
esac
for f in ${quote(storage)}/*.kvmesh.json; do
  [ ! -e "$f" ] || { section "file \${f%.kvmesh.json}"; cat "$f"; }
done
fields() {
  for f in "$1"*; do
    [ ! -s "$f" ] || { printf '%s\\t' "\${f#"$1"}"; cat "$f"; }
  done
}
if command -v lvs >/dev/null; then
  section volumes
  exec 3>&1
  said=$(${reportCommand()} 2>&1 >&3) || fail "LVM does not list its volumes: $said"
fi
section leases; fields ${LEASES}/cpu-
section devices; fields ${CLAIMS}/
`;
}
