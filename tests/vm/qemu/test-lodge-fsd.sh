#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lodge-fsd behind somebody else's monitor: QEMU's vhost-user-fs-pci, once as the guest's root and once
# as a device of shares.
# TIMEOUT: 240
# NEEDS: qemu-system-x86_64 cpio
# shellcheck source=tests/vm/lib.sh
. "$LIB"

kernel=$guest_version
mkdir -p shares/work tree/lodge/modules
echo "from the host" >shares/work/hello

# add_module NAME: with what it needs, in the order of loading
add_module() {
	local file base
	while read -r file; do
		base=$(basename "$file")
		[ -e "tree/lodge/modules/$base" ] && continue
		cp "$file" "tree/lodge/modules/$base"
		printf 'module=%s\0' "$base" >>tree/lodge/run.conf
	done < <(modprobe --show-depends -S "$kernel" "$1" | awk '$1 == "insmod" { print $2 }')
}

# make_initrd COMMAND: as `lodge run` builds it, with a root and one share
make_initrd() {
	cp "$BUILD/guest/lodge-init" tree/init
	printf 'mode=run\0' >tree/lodge/run.conf
	add_module virtio_pci
	add_module virtio_console
	add_module virtiofs
	add_module overlay
	printf '%s\0' root=root share=work hostname=qemu cwd=/ "env=PATH=$PATH" \
		arg=/bin/sh arg=-c "arg=$1" >>tree/lodge/run.conf
	(cd tree && find . | cpio -o -H newc -R 0:0 --quiet) >initrd
}

# port NAME BACKEND: QEMU's arguments for a port of protocol/spec/run.md
port() {
	printf '%s\n' -chardev "$2,id=$1" -device "virtserialport,chardev=$1,name=org.lodge.run.$1"
}

# shellcheck disable=SC2016 # for the guest
make_initrd 'uname -n
	cat /mnt/lodge/work/hello
	echo "from the guest" >/mnt/lodge/work/answer
	touch /mnt/lodge/work/gone && rm /mnt/lodge/work/gone
	'"$BUILD"'/guest/fs-conform -n 100 /mnt/lodge/work >/mnt/lodge/work/conform 2>&1
	echo "conform: $?"'

lodge-fsd --socket "$WORK/root.sock" --export /:ro --once 2>root.log &
lodge-fsd --socket "$WORK/work.sock" --share "work=$WORK/shares/work" --once 2>work.log &
ok "lodge-fsd listens" wait_for 10 test -S root.sock -a -S work.sock

mapfile -t ports < <(port stdin null; port stdout file,path=out; port stderr file,path=err
	port status file,path=status)
ok "QEMU runs and ends" timeout 200 qemu-system-x86_64 -enable-kvm -cpu host -M q35 -m 384 \
	-nodefaults -no-user-config -display none -no-reboot -serial "file:$WORK/console" \
	-object memory-backend-memfd,id=ram,size=384M,share=on -numa node,memdev=ram \
	-chardev socket,id=r,path=root.sock -device vhost-user-fs-pci,chardev=r,tag=root \
	-chardev socket,id=w,path=work.sock -device vhost-user-fs-pci,chardev=w,tag=lodge \
	-device virtio-serial-pci "${ports[@]}" -kernel "/boot/vmlinuz-$kernel" -initrd initrd -append 'console=ttyS0 panic=-1 quiet'

like "$(cat out err console)" 'qemu.*from the host' "the guest's root and share are there"
is "$(cat shares/work/answer)" "from the guest" "the host reads what the guest wrote"
ok "what the guest removed is gone" test ! -e shares/work/gone
like "$(cat out)" 'conform: 0' "file system calls conform behind QEMU"
grep '^not ok' shares/work/conform
is "$(tr '\n' ' ' <status)" "ready status 0 " "init reports on a port of QEMU's too"
ok "both servers ended with their front end" wait_for 10 sh -c '! kill -0 %1 2>/dev/null'
wait
is "$(grep -c error root.log work.log | cut -d: -f2 | tr '\n' ' ')" "0 0 " "and complained of nothing"
