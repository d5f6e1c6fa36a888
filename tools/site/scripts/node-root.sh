#!/bin/bash
# mmdebstrap's customize hook of the nodes' root: a cloud image's manners, and what kubeadm's documentation asks of a node.
set -eu
root=$1

# Identity comes with the first boot (cloud-init, systemd), never from the image.
rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id" "$root/etc/hostname"
: >"$root/etc/machine-id"
# The servers themselves, not the local stub: pods get this file, and a CoreDNS that asks 127.0.0.53 asks itself.
ln -sf ../run/systemd/resolve/resolv.conf "$root/etc/resolv.conf"
printf 'LABEL=cloudroot / ext4 defaults,discard 0 1\n' >"$root/etc/fstab"

# cloud-init: a seed disk or nothing, and only the modules that such a machine uses.
cat >"$root/etc/cloud/cloud.cfg.d/90-kvmesh.cfg" <<'X'
datasource_list: [NoCloud, None]
disable_root: false
ssh_deletekeys: true
ssh_genkeytypes: [ed25519]
users: [default]
cloud_init_modules: [seed_random, bootcmd, write-files, growpart, resizefs, disk_setup, mounts, set_hostname, update_hostname, update_etc_hosts, ca-certs, users-groups, ssh]
cloud_config_modules: [set-passwords, timezone, ntp, runcmd]
# systemd-networkd's files directly: netplan would do the same by two more programs and a reload of systemd.
# (Unlike netplan it wants a default route written as 0.0.0.0/0.)
system_info: {network: {renderers: [networkd]}}
cloud_final_modules: [package-update-upgrade-install, write-files-deferred, scripts-per-once, scripts-per-boot, scripts-per-instance, scripts-user, phone-home, final-message, power-state-change]
X

# The drivers that a machine boots with, and no others: a smaller initrd is unpacked sooner.
echo 'MODULES=list' >"$root/etc/initramfs-tools/conf.d/kvmesh"
printf '%s\n' virtio_pci virtio_blk virtio_scsi sd_mod nvme ext4 >>"$root/etc/initramfs-tools/modules"

# What of systemd is for other machines than one with keys instead of a console, one disk and a fixed address. Each of these
# programs is started at every boot and every reload, which an emulated machine feels.
mkdir -p "$root/etc/systemd/system-generators"
for generator in debug getty gpt-auto hibernate-resume rc-local run ssh system-update sysv tpm2; do
  ln -sf /dev/null "$root/etc/systemd/system-generators/systemd-$generator-generator"
done
# Events for the devices that rules or modules wait for, instead of for all five hundred.
mkdir -p "$root/etc/systemd/system/systemd-udev-trigger.service.d"
cat >"$root/etc/systemd/system/systemd-udev-trigger.service.d/kvmesh.conf" <<'X'
[Service]
ExecStart=
ExecStart=-udevadm trigger --type=subsystems --action=add
ExecStart=-udevadm trigger --type=devices --action=add \
  --subsystem-match=acpi --subsystem-match=block --subsystem-match=input --subsystem-match=misc --subsystem-match=net \
  --subsystem-match=nvme --subsystem-match=pci --subsystem-match=scsi --subsystem-match=virtio --subsystem-match=virtio-ports
X

cat >"$root/etc/modules-load.d/kubernetes.conf" <<'X'
overlay
br_netfilter
X
cat >"$root/etc/sysctl.d/99-kubernetes.conf" <<'X'
net.ipv4.ip_forward = 1
net.bridge.bridge-nf-call-iptables = 1
net.bridge.bridge-nf-call-ip6tables = 1
fs.inotify.max_user_instances = 1024
fs.inotify.max_user_watches = 524288
X

# The units of the kubelet and kubeadm packages, together in one; a condition instead of a crash loop before kubeadm ran.
cat >"$root/usr/lib/systemd/system/kubelet.service" <<'X'
[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target containerd.service
ConditionPathExists=/var/lib/kubelet/config.yaml

[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
X

mkdir -p "$root/opt/cni/bin" "$root/etc/cni/net.d" "$root/etc/containerd" "$root/etc/kubernetes/manifests"
mv "$root"/usr/lib/cni/* "$root/opt/cni/bin/"
chroot "$root" containerd config default >"$root/etc/containerd/config.toml"
sed -i 's#SystemdCgroup = false#SystemdCgroup = true#; s#bin_dir = .*#bin_dir = "/opt/cni/bin"#' "$root/etc/containerd/config.toml"

chroot "$root" systemctl enable containerd kubelet ssh systemd-networkd systemd-resolved >/dev/null 2>&1
# Periodic housekeeping that a machine of some hours does not need.
chroot "$root" systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
  e2scrub_reap.service fstrim.timer systemd-networkd-wait-online.service systemd-timesyncd.service \
  getty@tty1.service systemd-binfmt.service systemd-networkd-persistent-storage.service >/dev/null 2>&1 || true
chroot "$root" update-initramfs -u >/dev/null
# ldconfig, catalogues, users: done by the packages; the first boot need not do it again.
touch "$root/etc/.updated" "$root/var/.updated"
