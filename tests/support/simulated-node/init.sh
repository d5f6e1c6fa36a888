#!/bin/bash
# Init of a simulated node: sshd, and a kubelet that runs etcd and the API server without containers.
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
. /run/site/services.sh

hostname "$(cat /run/site/hostname)"
printf '127.0.0.1 localhost\n%s %s\n' "$(cat /run/site/address)" "$(hostname)" >/etc/hosts
mkdir -p /run/simulated /run/lock /etc/kubernetes/manifests
# The images that a kubelet finds: a test that takes one away takes it for good.
[ -d /var/lib/simulated/images ] || { mkdir -p /var/lib/simulated/images; touch /var/lib/simulated/images/{etcd,kube-apiserver}; }
install -m 755 /run/site/systemctl.sh /usr/local/bin/systemctl
start_sshd
keep kubelet /usr/local/bin/kubelet
reap
