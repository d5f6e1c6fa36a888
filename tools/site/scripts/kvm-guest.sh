#!/bin/bash
# Boots a kernel with hardware virtualization by the QEMU of a root: run under `unshare --mount`.
#   kvm-guest.sh ROOT KERNEL QEMU-ARGUMENTS…
set -eu
root=$1 kernel=$2
shift 2
mount --make-rprivate /
mount -t tmpfs tmp "$root/tmp"
cp "$kernel" "$root/tmp/kernel"
mount -t tmpfs dev "$root/dev"
for node in kvm null zero random urandom; do
  touch "$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mount -t proc proc "$root/proc"
exec chroot "$root" qemu-system-x86_64 -kernel /tmp/kernel "$@"
