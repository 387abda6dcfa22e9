# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest that has any kernel, busybox, the tools and nothing else, in its initramfs: source it behind lib.sh. The VM is
# called box; its shares are docs, a tree of files, and work, an empty folder. What is in the array guest_extra, programs and
# folders by their absolute paths, is in the guest, too, folders where they are here. GUEST_APPEND is more for the boot line.
name=box
guest_extra=()
# shellcheck source=tests/vm/balloon/ask.sh
. "$TOP/tests/vm/balloon/ask.sh"
export XDG_DATA_HOME=$WORK/vms

mkdir docs work
for i in 1 2 3 4; do
	mkdir "docs/d$i"
	for j in 1 2 3 4 5 6 7 8; do
		head -c $((i * j * 1000)) /dev/urandom >"docs/d$i/f$j"
	done
done
head -c 3000000 /dev/urandom >docs/big

# add_programs PROGRAM...: where it is here, with its libraries where its loader looks for them
add_programs() {
	cp "$@" tree/usr/bin/
	ldd "$@" 2>/dev/null | grep -o '/[^ :]*\.so[^ ]*' | sort -u | xargs -r cp -L --parents -t tree
}

# make_guest FOLDER: sets $version; false where there are no modules of ours for that kernel
make_guest() {
	local image extra
	image=$(find "$1/boot" -name 'vmlinuz-*' | head -n 1)
	version=${image##*/vmlinuz-}
	if [ -z "$image" ] || [ ! -e "$BUILD/modules/$version/lodge_fs.ko" ]; then
		fail "$1: no boot/vmlinuz-VERSION, or no modules for it in $BUILD/modules: make modules KDIR=..."
		return 1
	fi
	rm -rf tree initrd
	mkdir -p tree/{dev,proc,sys,run,tmp,mnt,root,var,usr/{bin,sbin,lib,lib64},etc/lodge}
	ln -s usr/bin usr/sbin usr/lib usr/lib64 tree/
	cp "$(command -v busybox)" tree/usr/bin/busybox
	busybox --install -s tree/usr/bin
	add_programs "$BUILD"/bin/{lodged,lodge-toolbox,mount.lodge} "$BUILD"/guest/{fs-conform,backdoor-client,clock-check} \
		"$(command -v inotifywait)"
	for extra in "${guest_extra[@]}"; do
		if [ -d "$extra" ]; then cp -a --parents "$extra" tree; else add_programs "$extra"; fi
	done
	ln -s ../bin/mount.lodge tree/usr/sbin/mount.lodge
	mkdir tree/usr/lib/modules tree/ours
	cp -r "$1/lib/modules/$version" tree/usr/lib/modules/
	cp "$BUILD/modules/$version"/*.ko tree/ours/
	depmod -b tree "$version"
	printf '[guest-ops]\nallow-exec=root\n' >tree/etc/lodge/tools.conf
	printf '%s\n' root:x:0:0:root:/root:/bin/sh user:x:1000:1000::/:/bin/sh nobody:x:65534:65534::/:/bin/false >tree/etc/passwd
	printf '%s\n' root:x:0: user:x:1000: nogroup:x:65534: >tree/etc/group
	echo 'ID=small' >tree/etc/os-release
	cat >tree/init <<-'END'
		#!/bin/sh
		export PATH=/usr/bin:/usr/sbin HOME=/root
		mount -t proc proc /proc
		mount -t sysfs sys /sys
		mount -t debugfs debug /sys/kernel/debug
		[ -e /dev/null ] && [ -e /dev/kmsg ] || mount -t devtmpfs dev /dev
		mkdir -p /dev/pts /dev/shm
		mount -t devpts devpts /dev/pts
		mount -t tmpfs -o mode=1777 shm /dev/shm
		for module in virtio_pci virtio_console virtio_rng fuse; do modprobe $module; done
		ln -s /proc/self/fd /dev/fd
		while :; do
			lodged
			while [ -e /run/hold ]; do sleep 0.1; done
			sleep 0.1
		done
	END
	chmod +x tree/init
	(cd tree && find . | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >initrd
	make_conf "$image"
}

make_conf() {
	rm -f console
	mkdir -p vms/lodge/box
	cat >vms/lodge/box/vm.conf <<-CONF
		[cpu]
		count=2
		[memory]
		size=512M
		[boot]
		kernel=$1
		initrd=$WORK/initrd
		append=console=ttyS0 panic=-1 ${GUEST_APPEND:-}
		on-reset=stop
		[serial]
		backend=file:$WORK/console
		[device]
		legacy=yes
		shares=yes
		[share docs]
		path=$WORK/docs
		[share work]
		path=$WORK/work
		[backdoor]
		ports=off
	CONF
}

# in_box COMMAND: a shell's, as root; both streams
in_box() {
	timeout -k 5 "${patience:-120}" lodge exec box -- sh -c "PATH=/usr/bin:/usr/sbin; $1" 2>&1 </dev/null
}

by() {
	lodge info box | grep -q "shares .*/mnt/lodge by $1,"
}

through() {
	lodge info box | grep -q "door  *$1"
}

# load MODULE: words for in_box
load() {
	echo "modprobe ptp; insmod /ours/$1.ko"
}

no_tools() {
	lodge info box | grep -q "TOOLS *none"
}

not_there() {
	! lodge info box
}
