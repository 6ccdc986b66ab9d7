#!/bin/bash
# SPDX-License-Identifier: MIT
#
# In: namespaces of its own, a directory, a terminal. Out: the system in the
# directory has booted in them. Must never change the machine: /proc/sys and
# /sys are read-only, and mounts stay here.
#
#   boot.sh LOWER SCRATCH TERMINAL

set -eu

mount --make-rprivate /
mkdir -p "$2/upper" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay \
	"$2/root"
cd "$2/root"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
while read -r name major minor; do
	mknod -m 666 "dev/$name" c "$major" "$minor"
done <<'END'
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
END
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
: >dev/console
mount --bind "$3" dev/console
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
hostname package
ip link set lo up
for address in 169.254.169.254 168.63.129.16 10.1.2.3; do
	ip address add "$address/32" dev lo
done
pivot_root . mnt
# without the variable it would try to be a machine
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . \
	/bin/sh -c 'umount -l /mnt; exec /sbin/init'
