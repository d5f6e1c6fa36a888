import { quote } from "../core/quote";
import { LIBVIRT_GONE } from "../libvirt/gone";
import type { NetworkInputs } from "./schema";

/** Every network of libvirt, and what the host itself has of addresses and routes; "absent" where there is no such network. */
export function inspectScript(name: string, nonce: string): string {
  return `n=${quote(name)}
section() { printf '%s %s\\n' ${quote(nonce)} "$1"; }
${LIBVIRT_GONE}all=$(v net-list --all --name) || {
  libvirt_gone "$?" || fail 'libvirt does not list its networks: is its network driver installed and running?'
  all=
}
if printf '%s\\n' "$all" | sed 's/ *$//' | grep -qxF "$n"; then
  section xml; v net-dumpxml --inactive "$n"
  section info; v net-info "$n"
fi
printf '%s\\n' "$all" | sed 's/ *$//' | while read -r o; do
  [ -z "$o" ] || [ "$o" = "$n" ] || { section "other $o"; v net-dumpxml --inactive "$o" </dev/null; }
done
section addresses; ip -4 -o addr show | awk '{ print $2, $4 }'
section routes; ip -4 -o route show | awk '{ d = ""; for (i = 2; i < NF; i++) if ($i == "dev") d = $(i + 1); print d, $1 }'
section end
`;
}

/**
 * Defines the network over any older definition and sees to it that it runs now and after the host's next start. libvirt notes the MACs
 * of the network's machines in dnsmasq's folder, but makes that only when it starts dnsmasq, which a network without DNS and DHCP
 * does without: on a host that never had another network no machine would start. dnsmasq of other networks, which is no root, reads it.
 */
export function applyScript(network: Pick<NetworkInputs, "name">, xml: string, fresh: boolean): string {
  return `lock
n=${quote(network.name)}
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
printf %s ${quote(xml)} >"$d/network.xml"
folder /var/lib/libvirt/dnsmasq
v net-define "$d/network.xml" >/dev/null
if ! v net-info "$n" | grep -q '^Active: *yes'; then
  if ! v net-start "$n" >/dev/null 2>"$d/start"; then
    ${fresh ? 'v net-undefine "$n" >/dev/null' : ":"}
    fail "the network could not be started: $(cat "$d/start")"
  fi
fi
v net-autostart "$n" >/dev/null
`;
}

/** Not while a machine is defined with it, running or not: it would not start again. */
export function removeScript(name: string, uuid: string): string {
  return `lock
n=${quote(name)}
u=${quote(uuid)}
for m in $(v list --all --name); do
  if v dumpxml --inactive "$m" | grep -qE "<source network=[\\"']$n[\\"']"; then fail "the machine $m uses the network $n: it is left as it is"; fi
done
[ "$(v net-uuid "$n" 2>/dev/null | tr -d '[:space:]')" = "$u" ] || exit 0
if v net-info "$n" | grep -q '^Active: *yes'; then v net-destroy "$n" >/dev/null; fi
v net-undefine "$n" >/dev/null
`;
}
