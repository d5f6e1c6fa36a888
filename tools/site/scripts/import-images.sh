#!/bin/bash
# Imports image archives into the containerd store of a root, natively and without a running node: run under `unshare --mount`.
#   import-images.sh ROOT ARCHIVE…
set -eu
root=$1
shift
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount -t tmpfs dev "$root/dev"
for node in null zero random urandom; do
  touch "$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mount -t tmpfs run "$root/run"
mount -t tmpfs tmp "$root/tmp"
printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >"$root/tmp/containerd.toml"
chroot "$root" containerd --config /tmp/containerd.toml --state /run/c --address /run/c.sock >"$root/tmp/log" 2>&1 &
containerd=$!
ctr() { chroot "$root" ctr --address /run/c.sock --namespace k8s.io "$@"; }
for _ in $(seq 100); do
  ctr version >/dev/null 2>&1 && break
  kill -0 $containerd || { cat "$root/tmp/log" >&2; exit 1; }
  sleep 0.2
done
for archive in "$@"; do
  echo "import ${archive##*/}"
  cat "$archive" | ctr images import --digests=false - >/dev/null
done
# kubelet's pause container and whatever else is pinned must survive its garbage collection.
for image in $(ctr images ls -q); do ctr images label "$image" io.cri-containerd.pinned=pinned io.cri-containerd.image=managed >/dev/null; done
# containerd's idea of the pause image is older than kubeadm's.
pause=$(ctr images ls -q | grep '/pause:')
sed -i "s#sandbox_image = .*#sandbox_image = \"$pause\"#" "$root/etc/containerd/config.toml"
ctr images ls -q
kill $containerd
wait $containerd || true
