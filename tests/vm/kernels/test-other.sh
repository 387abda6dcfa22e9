#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Guests with other kernels than this machine's, such as CentOS 7's: the tools with no module of ours, then each module
# but the display's. Userspace is this machine's all the same. GUEST_KERNELS names folders that kernel packages were
# unpacked in (boot/vmlinuz-VERSION, lib/modules/VERSION); our modules are those of make modules KDIR=.
# TIMEOUT: 1200
# NEEDS: lodge lodged busybox cpio depmod inotifywait python3
# shellcheck disable=SC2016 # what the guest expands
# shellcheck source=tests/vm/lib.sh
. "$LIB"
[ -n "${GUEST_KERNELS:-}" ] || skip "no other kernels: GUEST_KERNELS names the folders of some (HACKING.md)"
# shellcheck source=tests/vm/kernels/small-guest.sh
. "$TOP/tests/vm/kernels/small-guest.sh"

# What old kernels do to a mount, whoever serves it: in RHEL 8.1's, set_mask_bits() is blind to a variable called mask, and so FUSE
# keeps attributes over its own changes for as long as they are good: then `links` fails, and these with it.
mask_faults='links fallocate stamps-of-folders stamps-of-files link-counts'

# conforms TEXT: whether nothing failed of what fs-conform says there but what the kernel is to blame for
conforms() {
	local allowed='' word failed
	failed=$(sed -n 's/^not ok [0-9]* \([^ ]*\).*/\1/p' <<<"$1")
	grep -q '^[0-9]*\.\.[1-9]' <<<"$1" || return
	grep -qx links <<<"$failed" && allowed+=" $mask_faults"
	for word in $failed; do
		[[ " $allowed " = *" $word "* ]] || return
	done
}

# check_share WAY [CASE...]: a tree of files read, written, renamed and locked by the guest is on the host what it is there;
# with CASEs those alone of fs-conform.
check_share() {
	local got way=$1
	shift
	ok "shares by $way" wait_for 60 by "$way"
	is "$(in_box 'cd /mnt/lodge/docs && find . | sort | sha256sum; find . -type f -print0 | sort -z | xargs -0 cat | sha256sum')" \
		"$(cd docs && find . | LC_ALL=C sort | sha256sum; find . -type f -print0 | LC_ALL=C sort -z | xargs -0 cat | sha256sum)" \
		"the guest reads what the host has"
	in_box 'cp -a /mnt/lodge/docs/. /mnt/lodge/work/ && cd /mnt/lodge/work && mv d1 moved && mv -f d2/f1 d2/f2 &&
		ln -s d2 link && ln d2/f3 d2/hard && echo more >>big && rm d3/f1 && dd if=/dev/zero of=big bs=4096 seek=7 count=2 conv=notrunc'
	cp -a docs wanted
	(cd wanted && mv d1 moved && mv -f d2/f1 d2/f2 && ln -s d2 link && ln d2/f3 d2/hard && echo more >>big && rm d3/f1 &&
		dd if=/dev/zero of=big bs=4096 seek=7 count=2 conv=notrunc 2>/dev/null)
	ok "what the guest made of a tree is on the host" diff -r --no-dereference wanted work
	ok "with its hard links" test work/d2/f3 -ef work/d2/hard
	got=$(patience=600 in_box "fs-conform -n 20 /mnt/lodge/work $*")
	ok "file system calls conform, as far as the kernel does" conforms "$got"
	grep -E '^not|^#|SKIP' <<<"$got" | sed 's/^/# /'
	in_box 'rm -rf /mnt/lodge/work/*'
	rm -rf wanted
	is "$(ls work)" "" "and all of it can be removed"
}

# The guest's own watchers hear of what the host does.
check_notify() {
	in_box 'setsid inotifywait -m --format "heard of %f" /mnt/lodge/docs >/tmp/heard 2>&1 </dev/null &'
	ok "a program watches a folder" wait_for 20 in_box 'grep -q established /tmp/heard'
	echo news >docs/news
	ok "and hears of a file of the host's" wait_for 20 in_box 'grep -q "heard of news" /tmp/heard'
	in_box 'kill $(pidof inotifywait)'
	rm docs/news
}

check_backdoor() {
	# While shares go over a door, lodged does not leave it for a better one.
	in_box "$(load lodge_backdoor)"'; setsid sh -c "sleep 0.5; kill $(pidof lodged)" >/dev/null 2>&1 </dev/null &'
	ok "lodged takes the module's door" wait_for 60 through "virtio device"
	ok "and the tools are there" lodge wait --timeout 60 box tools
	# It takes the place of the tools.
	in_box 'touch /run/hold; exec setsid sh -c "kill $(pidof lodged); while pidof lodged >/dev/null; do sleep 0.1; done
		for group in basic many user hostile midclose flood; do backdoor-client \$group; done; rm /run/hold" >/tmp/client 2>&1 </dev/null &'
	ok "other programs have the door" wait_for 60 no_tools
	ok "and leave it" wait_for 200 in_box '[ ! -e /run/hold ]'
	relay_checks < <(in_box 'cat /tmp/client')
	ok "shares by rpc again" wait_for 60 in_box 'cat /mnt/lodge/docs/d1/f1'
	like "$(in_box 'lodge-toolbox status')" "rpc +2 +module lodge_backdoor" "lodge-toolbox status knows"
	like "$(in_box 'lodge-toolbox share')" "docs " "lodge-toolbox share, too"
}

check_clock() {
	in_box "$(load lodge_clock) && cat /sys/class/ptp/*/clock_name" >clock-name
	ok "lodge_clock has a PTP clock" grep -q lodge clock-name
	# Where modules cannot look into kvm-clock, no reading has a cross-timestamp.
	relay_checks < <(in_box 'for clock in /sys/class/ptp/*; do
			! grep -q lodge $clock/clock_name || clock-check ptp /dev/${clock##*/} 50
		done' | sed 's/^not ok - \(each cross-timestamp can be had: 50 of 50 have none, 0 failed\)/\1/')
}

check_balloon() {
	in_box "$(load lodge_balloon)"
	ok "lodge_balloon tells how the guest is" wait_for 60 is_driver lodge_balloon
	lodge set box memory=256M
	ok "it gives 256 MiB" wait_for 60 is_mib 256 256 actual
	lodge set box memory=off
	ok "and takes them back" wait_for 60 is_mib 0 0 actual
	lodge set box memory=256M
	ok "again" wait_for 60 is_mib 256 256 actual
	in_box 'mkdir -p /tmp/full && mount -t tmpfs -o size=400M full /tmp/full && dd if=/dev/zero of=/tmp/full/x bs=1M count=300 2>/dev/null'
	ok "a program that needs them has them" wait_for 30 is_mib 0 255 actual
	is "$(in_box 'ls -l /tmp/full/x | tr -s " " | cut -d" " -f5; dmesg | grep -i "out of memory"; umount /tmp/full')" 314572800 "and nobody is killed"
	lodge set box memory=off
	ok "off" wait_for 60 is_mib 0 0 actual
}

check_kernel() {
	make_guest "$1" || return 0
	echo "# $version: the root has $(du -sm initrd | cut -f1) MiB"
	ok "$version: it starts" lodge start box
	ok "with tools" lodge wait --timeout 120 box tools || { tail -n 40 console | sed 's/^/#   /'; return; }
	is "$(in_box 'uname -r')" "$version" "by their word this kernel"
	if in_box '! grep -q virtiofs /proc/filesystems'; then
		check_share rpc renames read-write append truncate unlinked-open mapped locks
	else
		ok "shares by the kernel's own driver" wait_for 60 by virtiofs
	fi
	echo "# until $SECONDS s"
	check_backdoor
	# Kernels that have virtiofs have no program here that loads it.
	in_box "$(load lodge_fs) take=1"
	in_box 'grep -q virtiofs /proc/filesystems' || check_share lodge_fs
	check_notify
	echo "# until $SECONDS s"
	check_clock
	check_balloon
	in_box 'for module in lodge_balloon lodge_clock; do rmmod $module || echo "not ok - rmmod $module"; done'
	# "Speculative Return Stack Overflow: WARNING: See ..." is about the lab's processor.
	is "$(in_box 'dmesg | grep -v "Stack Overflow: WARNING" | grep -E "BUG:|WARNING: |Oops|Call Trace|refcount|scheduling while|hung_task|lockup"')" "" "the kernel complains of nothing"
	echo "# until $SECONDS s"
	[ "$failures" = 0 ] || tail -n 60 console | sed 's/^/#   /'
	lodge kill box
	wait_for 20 not_there
}

for folder in $GUEST_KERNELS; do
	[[ $folder = /* ]] || folder=$TOP/$folder
	check_kernel "$folder"
done
