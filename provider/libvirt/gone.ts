/**
 * Shell functions for a host on which virsh fails. `left_behind` prints what libvirt managed and nobody does now, a line each. `libvirt_gone
 * CODE`, with virsh's exit code, is true when libvirt is not on the host (any more) and left nothing: what it managed is gone as well. It
 * ends the script when something is left. A daemon that is installed and does not answer is not gone.
 */
export const LIBVIRT_GONE = `left_behind() {
  for p in /proc/[0-9]*; do
    case $(readlink "$p/exe" 2>/dev/null) in
      */qemu-system-* | */qemu-kvm*) echo "QEMU runs without libvirt, process \${p#/proc/}" ;;
    esac
  done
  for f in /etc/libvirt/qemu/*.xml; do
    if [ -e "$f" ]; then echo "libvirt is gone and left $f"; fi
  done
}
libvirt_gone() {
  [ "$1" = 127 ] || ! { command -v libvirtd || command -v virtqemud; } >/dev/null || return 1
  left=$(left_behind | tr '\\n' ';' | sed 's/;$//; s/;/; /g')
  [ -z "$left" ] || fail "libvirt is gone from this host, and machines are not: $left. Install it again (apt-get install libvirt-daemon-system libvirt-clients), and run this again"
}
`;
