# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
# A small guest for scenarios of vhost-user back ends: this kernel, busybox, and a script. Source it
# behind lib.sh; the current folder gets tree/, initrd, vm/ and the console's text in console.

kernel=$guest_version

add_module() {
	local file base
	while read -r file; do
		base=$(basename "$file")
		case $base in
		*.xz) base=${base%.xz}; xz -dc "$file" >"tree/modules/$base" ;;
		*) cp "$file" "tree/modules/$base" ;;
		esac
		grep -qxF "$base" tree/modules/list || echo "$base" >>tree/modules/list
	done < <(modprobe --show-depends -S "$kernel" "$1" | awk '$1 == "insmod" { print $2 }')
}

# make_guest SCRIPT: an initramfs whose init does SCRIPT (busybox sh) and powers off. $tag is the
# word tag= of the kernel's command line; say TEXT prints "guest: TEXT".
make_guest() {
	mkdir -p tree/{bin,proc,sys,dev,tmp,mnt,modules}
	: >tree/modules/list
	cp "$(command -v busybox)" tree/bin/busybox
	add_module virtio_pci
	add_module virtiofs
	cat >tree/init <<-END
		#!/bin/busybox sh
		/bin/busybox --install -s /bin
		export PATH=/bin
		mount -t proc proc /proc
		mount -t sysfs sys /sys
		mount -t devtmpfs dev /dev
		while read -r module; do insmod /modules/\$module; done </modules/list
		tag=\$(sed -n 's/.*tag=\([a-z]*\).*/\1/p' /proc/cmdline)
		say() { echo "guest: \$*"; }
		$1
		poweroff -f
	END
	chmod +x tree/init
	(cd tree && find . | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >initrd
}

# make_vm CPUS TAG GROUP: vm/vm.conf with the text GROUP at its end
make_vm() {
	mkdir -p vm
	cat >vm/vm.conf <<-END
		[cpu]
		count=$1
		[memory]
		size=256M
		[boot]
		kernel=/boot/vmlinuz-$kernel
		initrd=$WORK/initrd
		append=console=ttyS0 quiet panic=-1 tag=$2
		on-reset=stop
		[serial]
		backend=file:$WORK/console
		$3
	END
}

# start_vm SECONDS [input]: in the background; its process is $vm, its log vm.log. With "input" what is
# written to descriptor 5 is typed on the guest's console.
start_vm() {
	rm -f console
	if [ "${2:-}" = input ]; then
		mkfifo typed shown
		cat shown >console &
		sed -i 's/^backend=.*/backend=fd:0,1/' vm/vm.conf
		exec 5<>typed
		timeout "$1" lodge-vmm --vm vm --runtime "$WORK/run" 2>vm.log <typed >shown &
	else
		timeout "$1" lodge-vmm --vm vm --runtime "$WORK/run" 2>vm.log &
	fi
	vm=$!
}

# end_vm DESCRIPTION: waits for it to go down by itself
end_vm() {
	status=0
	wait "$vm" || status=$?
	exec 5>&-
	is "$status" 0 "$1"
	[ "$status" = 0 ] || sed 's/^/#   /' vm.log console
}

console() {
	tr -d '\r\0' <console
}

# said REGEX: whether the guest printed such a line
said() {
	console 2>/dev/null | grep -qE "^guest: $1\$"
}

# deepest PID: the process at the end of the chain of only children
deepest() {
	local pid=$1 child
	while child=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null) && [ -n "$child" ]; do
		pid=${child%% *}
	done
	echo "$pid"
}

# server: the lodge-fsd that serves, child of the starter, child of lodge-vmm, child of timeout
server() {
	local monitor starter
	monitor=$(cat "/proc/$vm/task/$vm/children")
	starter=$(cat "/proc/${monitor% }/task/${monitor% }/children")
	deepest "${starter% }"
}
