#!/bin/bash
# Pid 1 of a machine made of namespaces: makes its root file system from an overlay and becomes its init.
# Started by namespaces.ts inside `unshare --mount --net --pid --uts --ipc --fork`, with
#   ROOT_LOWER   read-only root (from the cache)        ROOT_DIR   upper/, work/, merged/, keep/ and site/ of this machine
#   ROOT_KEEP    "name:/path …": keep/name is a real folder there (overlayfs can't serve as another overlay's upper)
#   ROOT_CGROUP  name of a cgroup of its own             ROOT_DEVICES  device nodes beside the usual ones
set -eu

# A cgroup of its own at the top of every hierarchy, seen from inside as the root: kubelet then makes its cgroups
# below it and `down` can remove them all. Done here, not before unshare, so that only this process is in it.
# Its weight is four times that of anything else here: a machine's cores are its own, as far as the kernel can be told.
if [ -z "${ROOT_IN_CGROUP:-}" ]; then
  # namespaces.ts writes a line when it has recorded this process. Without one it has ended before, and this ends too.
  read -r _
  if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
    for controller in cpuset cpu io memory pids; do
      echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || true
    done
    mkdir -p "/sys/fs/cgroup/$ROOT_CGROUP/init"
    echo 400 >"/sys/fs/cgroup/$ROOT_CGROUP/cpu.weight" 2>/dev/null || true
    echo 0 >"/sys/fs/cgroup/$ROOT_CGROUP/cgroup.procs"
  else
    for hierarchy in /sys/fs/cgroup/*/; do
      [ "$(stat -fc %T "$hierarchy")" = cgroupfs ] || continue
      mkdir -p "$hierarchy$ROOT_CGROUP"
      # A new cpuset is empty and takes no process until it has CPUs and memory nodes.
      for file in cpuset.cpus cpuset.mems; do
        [ ! -e "$hierarchy$file" ] || cat "$hierarchy$file" >"$hierarchy$ROOT_CGROUP/$file"
      done
      [ ! -e "$hierarchy$ROOT_CGROUP/cpu.shares" ] || echo 4096 >"$hierarchy$ROOT_CGROUP/cpu.shares"
      echo 0 >"$hierarchy$ROOT_CGROUP/cgroup.procs"
    done
  fi
  export ROOT_IN_CGROUP=1
  exec unshare --cgroup "$0"
fi

mount --make-rprivate /
root=$ROOT_DIR/merged
mount -t overlay overlay -o "lowerdir=$ROOT_LOWER,upperdir=$ROOT_DIR/upper,workdir=$ROOT_DIR/work" "$root"
for pair in $ROOT_KEEP; do
  mkdir -p "$root${pair#*:}"
  mount --bind "$ROOT_DIR/keep/${pair%%:*}" "$root${pair#*:}"
done

# A /dev of its own: what runs inside sees no device of this computer that it does not need, and adds none.
mount -t tmpfs -o mode=755 dev "$root/dev"
for node in null zero full random urandom tty $ROOT_DEVICES; do
  mkdir -p "$(dirname "$root/dev/$node")"
  touch "$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir -p "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue" "$root/dev/hugepages"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs shm "$root/dev/shm"
mount -t mqueue mqueue "$root/dev/mqueue"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"

mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
  mount -t cgroup2 cgroup "$root/sys/fs/cgroup"
  # Processes live in leaves only, so that controllers can be handed down.
  echo 0 >"$root/sys/fs/cgroup/init/cgroup.procs"
  for controller in cpuset cpu io memory pids; do
    echo "+$controller" >"$root/sys/fs/cgroup/cgroup.subtree_control" 2>/dev/null || true
  done
else
  mount -t tmpfs -o mode=755 cgroup "$root/sys/fs/cgroup"
  while IFS=: read -r id controllers _; do
    [ "$id" != 0 ] || continue
    mkdir -p "$root/sys/fs/cgroup/${controllers#name=}"
    case $controllers in name=*) options=none,$controllers ;; *) options=$controllers ;; esac
    mount -t cgroup -o "$options" cgroup "$root/sys/fs/cgroup/${controllers#name=}"
  done </proc/self/cgroup
fi

# Scripts and keys of this machine, on the tmpfs: nothing of ours is left in its root.
cp -r "$ROOT_DIR/site" "$root/run/site"

cd "$root"
pivot_root . mnt
cd /
umount -l /mnt
mount --make-rshared /
unset ROOT_LOWER ROOT_DIR ROOT_KEEP ROOT_CGROUP ROOT_IN_CGROUP ROOT_DEVICES
exec /bin/bash /run/site/init.sh </dev/null
