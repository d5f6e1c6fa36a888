#!/bin/bash
# Init of the existing machine: containerd, kubelet and sshd of the node root, as their units would run them.
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
. /run/site/services.sh

hostname "$(cat /run/site/hostname)"
address=$(cat /run/site/address)
printf '127.0.0.1 localhost\n%s %s\n' "$address" "$(hostname)" >/etc/hosts
hostname >/etc/hostname
rm -f /etc/resolv.conf
sed 's/^/nameserver /' /run/site/nameservers >/etc/resolv.conf
[ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
mkdir -p /run/containerd /run/netns /run/lock

# What kubelet demands of the whole computer's kernel is shown to it in files of this machine: the computer keeps its own.
while read -r name value; do
  mkdir -p "/run/site/sysctl/$(dirname "$name")"
  echo "$value" >"/run/site/sysctl/$name"
  mount --bind "/run/site/sysctl/$name" "/proc/sys/$name"
done <<'X'
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
X
for setting in net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1; do
  sysctl -qw "$setting" 2>/dev/null || true
done

# No cgroup driver but cgroupfs without systemd; oom_score_adj can't be lowered everywhere (no CAP_SYS_RESOURCE).
sed -i 's/SystemdCgroup = true/SystemdCgroup = false/; s/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' /etc/containerd/config.toml
mkdir -p /etc/kubernetes/kubelet.conf.d
cp /run/site/kubelet.yaml /etc/kubernetes/kubelet.conf.d/10-machine.conf
echo 'KUBELET_EXTRA_ARGS=--config-dir=/etc/kubernetes/kubelet.conf.d' >/etc/default/kubelet
install -m 755 /run/site/systemctl.sh /usr/local/bin/systemctl

# kubelet.service, with its ConditionPathExists: it starts as soon as kubeadm has written a configuration.
kubelet_unit() {
  until [ -e /var/lib/kubelet/config.yaml ]; do sleep 0.2; done
  KUBELET_KUBEADM_ARGS='' KUBELET_EXTRA_ARGS=''
  [ ! -e /var/lib/kubelet/kubeadm-flags.env ] || . /var/lib/kubelet/kubeadm-flags.env
  [ ! -e /etc/default/kubelet ] || . /etc/default/kubelet
  # shellcheck disable=SC2086
  exec /usr/bin/kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
    --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
}
start_sshd
keep containerd /usr/bin/containerd
keep kubelet kubelet_unit
reap
