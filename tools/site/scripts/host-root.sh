#!/bin/bash
# mmdebstrap's customize hook of the emulated host's root: what every start makes anew is not part of it.
set -eu
root=$1
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/machine-id" "$root/var/lib/dbus/machine-id"
: >"$root/etc/machine-id"
# libvirt's own NAT network is not started: machines hang on the bridge that the site gives.
rm -f "$root/etc/libvirt/qemu/networks/autostart/default.xml"
