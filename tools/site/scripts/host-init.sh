#!/bin/bash
# Init of the emulated KVM host: libvirt, virtlogd and sshd of a Debian 13 root.
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
. /run/site/services.sh

hostname "$(cat /run/site/hostname)"
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$(hostname)" >/etc/hosts
[ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
mkdir -p /run/libvirt /run/lock /var/log/libvirt/qemu /var/lib/kvmesh
mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages
# A DNS question to this address is refused at once, each one: nothing resolves here and nobody shall wait for it.
sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0

# There are no cgroups to delegate here and no second user: QEMU runs as root without a security driver.
cat >/etc/libvirt/qemu.conf <<'X'
security_driver = "none"
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
cgroup_controllers = [ ]
namespaces = [ ]
X
start_sshd
keep virtlogd virtlogd
keep libvirtd libvirtd
reap
