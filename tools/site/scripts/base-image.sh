#!/bin/bash
# Makes a qcow2 image of a node root that boots by BIOS and by UEFI, without loop devices: run under `unshare --mount`.
#   base-image.sh TOOLS NODE FOLDER "KERNEL ARGUMENTS"
# TOOLS is a root that has mke2fs, mkfs.fat, mtools, sfdisk, GRUB and qemu-img; the image is FOLDER/image.qcow2.
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
# For UEFI: a system partition with GRUB, unsigned, which finds the rest by its label.
echo 'search --no-floppy --label --set=root cloudroot
set prefix=($root)/boot/grub
configfile $prefix/grub.cfg' >"$folder/efi.cfg"
in_tools grub-mkimage -d /usr/lib/grub/x86_64-efi -O x86_64-efi -p /boot/grub -c /srv/efi.cfg -o /srv/bootx64.efi \
  part_msdos ext2 search search_label linux normal serial terminal configfile echo
truncate -s 4M "$folder/part.fat"
in_tools mkfs.fat /srv/part.fat >/dev/null
in_tools mmd -i /srv/part.fat ::/EFI ::/EFI/BOOT
in_tools mcopy -i /srv/part.fat /srv/bootx64.efi ::/EFI/BOOT/BOOTX64.EFI
# The first partition is the one that grows: it lies behind the other.
truncate -s "$((size + 5))M" "$folder/image.raw"
dd if="$folder/part.fat" of="$folder/image.raw" bs=1M seek=1 conv=notrunc status=none
dd if="$folder/part.ext4" of="$folder/image.raw" bs=1M seek=5 conv=notrunc,sparse status=none
rm "$folder/part.ext4"
printf '%s\n' '5MiB,,L,*' '1MiB,4MiB,U' | in_tools sfdisk --quiet --no-reread --no-tell-kernel --wipe-partitions never --label dos /srv/image.raw
# For BIOS.
in_tools grub-mkimage -d /usr/lib/grub/i386-pc -O i386-pc -p '(hd0,msdos1)/boot/grub' -o /srv/core.img \
  biosdisk part_msdos ext2 linux normal serial terminal configfile
dd if="$tools/usr/lib/grub/i386-pc/boot.img" of="$folder/image.raw" bs=440 count=1 conv=notrunc status=none
dd if="$folder/core.img" of="$folder/image.raw" bs=512 seek=1 conv=notrunc status=none
in_tools qemu-img convert -f raw -O qcow2 -c -o compression_type=zstd /srv/image.raw /srv/image.qcow2
