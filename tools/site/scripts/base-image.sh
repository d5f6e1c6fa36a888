#!/bin/bash
# Makes a BIOS-bootable qcow2 image of a node root without loop devices: run under `unshare --mount`.
#   base-image.sh TOOLS NODE FOLDER "KERNEL ARGUMENTS"
# TOOLS is a root that has mke2fs, sfdisk, GRUB and qemu-img; the image is FOLDER/image.qcow2.
set -eu
tools=$1 node=$2 folder=$3 arguments=$4
mount --make-rprivate /

# The node root is read-only; GRUB's configuration lies over it. Its links to the kernel follow a kernel upgrade.
mkdir -p "$folder/over/boot/grub" "$folder/work"
cat >"$folder/over/boot/grub/grub.cfg" <<X
set timeout=0
serial --unit=0 --speed=115200
terminal_output serial
linux /vmlinuz root=LABEL=cloudroot ro console=tty0 console=ttyS0 quiet $arguments
initrd /initrd.img
boot
X
mount -t overlay overlay -o "lowerdir=$node,upperdir=$folder/over,workdir=$folder/work" "$tools/mnt"
mount --bind "$folder" "$tools/srv"
mount -t proc proc "$tools/proc"
mount -t tmpfs tmp "$tools/tmp"
in_tools() { chroot "$tools" "$@"; }

# A third of room to start with; cloud-init grows partition and file system to the disk that a machine gets.
used=$(du --summarize --block-size=1M "$tools/mnt" | cut -f1)
size=$((used * 4 / 3 + 512))
truncate -s "${size}M" "$folder/part.ext4"
# Features that GRUB does not read are off; a sparse file's tables are zero already.
in_tools mke2fs -q -F -t ext4 -L cloudroot -O ^metadata_csum_seed,^orphan_file -E assume_storage_prezeroed=1 -d /mnt /srv/part.ext4
truncate -s "$((size + 1))M" "$folder/image.raw"
dd if="$folder/part.ext4" of="$folder/image.raw" bs=1M seek=1 conv=notrunc,sparse status=none
rm "$folder/part.ext4"
echo '2048,,L,*' | in_tools sfdisk --quiet --no-reread --no-tell-kernel /srv/image.raw
grub=$tools/usr/lib/grub/i386-pc
in_tools grub-mkimage -d /usr/lib/grub/i386-pc -O i386-pc -p '(hd0,msdos1)/boot/grub' -o /srv/core.img \
  biosdisk part_msdos ext2 linux normal serial terminal configfile
dd if="$grub/boot.img" of="$folder/image.raw" bs=440 count=1 conv=notrunc status=none
dd if="$folder/core.img" of="$folder/image.raw" bs=512 seek=1 conv=notrunc status=none
in_tools qemu-img convert -f raw -O qcow2 -c -o compression_type=zstd /srv/image.raw /srv/image.qcow2
