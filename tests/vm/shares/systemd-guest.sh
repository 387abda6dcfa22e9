# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest that runs systemd and whose kernel has no virtiofs at all, for scenarios of shares: source it behind lib.sh and
# vhost-user/guest.sh. The VM is called box; shares docs and work are its own once add_shares was called.

[ -x /lib/systemd/systemd ] || skip "no systemd here"
[ -e "$BUILD/modules/$kernel/lodge_fs.ko" ] || skip "no lodge_fs.ko for $kernel"
export XDG_DATA_HOME=$WORK/vms
mkdir docs work
echo one >docs/one
echo old >work/held

# ---- the guest's root: nothing but what is named here ----

# need PROGRAM...: its libraries, where its loader looks for them
need() {
	ldd "$@" 2>/dev/null | grep -o '/[^ :]*\.so[^ ]*' | sort -u | xargs cp -L --parents -t tree
}

mkdir -p tree/{dev,proc,sys,run,tmp,mnt,root,var,modules,usr/{bin,sbin,lib,lib64},etc/{systemd/system,modprobe.d,lodge}}
ln -s usr/bin usr/sbin usr/lib usr/lib64 tree/
cp "$(command -v busybox)" tree/usr/bin/busybox
busybox --install -s tree/usr/bin
rm -f tree/usr/bin/{mount,umount,modprobe,init,poweroff,reboot,halt,linuxrc}
units=/usr/lib/systemd/system
programs=(/usr/bin/{mount,umount,kmod,udevadm,systemctl,systemd-run} /usr/lib/systemd/{systemd,systemd-shutdown}
	/usr/lib/systemd/system-generators/systemd-fstab-generator)
cp -P --parents -t tree "${programs[@]}" /usr/lib/systemd/systemd-udevd $units/*.target \
	$units/systemd-{udevd,udev-trigger,reboot,poweroff}.service $units/systemd-udevd-{control,kernel}.socket \
	/usr/lib/udev/rules.d/{50-udev-default,80-drivers,99-systemd}.rules
ln -s ../bin/kmod tree/usr/sbin/modprobe
mkdir -p tree$units/{sysinit,sockets}.target.wants
ln -s ../systemd-udevd.service ../systemd-udev-trigger.service tree$units/sysinit.target.wants/
ln -s ../systemd-udevd-control.socket ../systemd-udevd-kernel.socket tree$units/sockets.target.wants/
# What `make install-tools` installs, of which make and man pages would take longer than all the rest (it is tried by
# backdoor/systemd).
mkdir -p tree/usr/libexec/lodge
cp "$BUILD/bin/lodged" tree/usr/libexec/lodge/
cp "$BUILD/bin/lodge-toolbox" tree/usr/bin/
cp "$BUILD/bin/mount.lodge" tree/usr/sbin/
ln -s mount.lodge tree/usr/sbin/mount.fuse.lodge
ln -s mount.lodge tree/usr/sbin/mount.fuse.lodge-rpc
cp "$TOP/packaging/udev/60-lodge.rules" tree/usr/lib/udev/rules.d/
sed 's,@LIBEXEC@,/usr/libexec/lodge,' "$TOP/packaging/systemd/lodged.service" >tree$units/lodged.service
need "${programs[@]}" "$BUILD"/bin/{lodged,lodge-toolbox,mount.lodge}
: >tree/modules/list
for module in virtio_pci virtio_console fuse; do add_module $module; done
cp "$BUILD/modules/$kernel/lodge_fs.ko" tree/modules/
rm tree/modules/list
mkdir tree/usr/lib/modules
mv tree/modules "tree/usr/lib/modules/$kernel"
cp "/lib/modules/$kernel"/modules.{builtin,builtin.modinfo,order} "tree/usr/lib/modules/$kernel/"
depmod -b tree "$kernel"
# The kernel was configured with virtiofs, and does not have it.
echo 'options lodge_fs take=1' >tree/etc/modprobe.d/lodge.conf
printf '[guest-ops]\nallow-exec=root\n' >tree/etc/lodge/tools.conf
echo 'root:x:0:0:root:/root:/bin/sh' >tree/etc/passwd
echo 'root:x:0:' >tree/etc/group
echo 'ID=small' >tree/etc/os-release
echo 0123456789abcdef0123456789abcdef >tree/etc/machine-id
cat >tree/etc/fstab <<'END'
docs  /mnt/docs   lodge  ro,nofail,_netdev,x-systemd.requires=lodged.service  0 0
work  /mnt/later  lodge  noauto,user,exec  0 0
END
cat >tree/etc/systemd/system/lodge-test.target <<'END'
[Unit]
Requires=basic.target
Wants=remote-fs.target
After=basic.target
AllowIsolate=yes
END
# A program with a file open, which belongs to nobody who is restarted.
cat >tree/etc/systemd/system/holder.service <<'END'
[Service]
ExecStart=/bin/sh -c 'exec 3>>/mnt/lodge/work/held; echo before >&3; touch /run/holds; until [ -e /run/go ]; do sleep 0.1; done; echo after >&3 && touch /run/good'
END
# mount(8) as a person uses it.
cat >tree/mounts.sh <<'END'
say() { if eval "$2"; then echo "ok - $1"; else echo "not ok - $1"; fi; }
# Not busybox' own.
mount() { /usr/bin/mount "$@"; }
umount() { /usr/bin/umount "$@"; }
mkdir -p /mnt/a /mnt/b /mnt/later
say "mount -t lodge SHARE DIR" 'mount -t lodge docs /mnt/a && [ "$(cat /mnt/a/one)" = one ]'
say "with options" 'mount -t lodge work /mnt/b -o ro,nosuid,nodev && ! touch /mnt/b/x 2>/dev/null'
say "remount" 'mount -o remount,rw /mnt/b && touch /mnt/b/x'
say "remount, read-only" 'mount -o remount,ro /mnt/b && ! touch /mnt/b/y 2>/dev/null'
say "which is that mount's alone" 'touch /mnt/a/y && mount -t lodge -o remount,ro docs /mnt/a && ! touch /mnt/a/z 2>/dev/null && touch /mnt/lodge/docs/z'
say "umount" 'umount /mnt/a && umount /mnt/b && ! [ -e /mnt/a/one ]'
say "a second umount is an error" '! umount /mnt/a 2>/dev/null'
fails() { mount -t lodge "$@" 2>/tmp/e; [ $? = 32 ] || [ $? = 1 ]; }
say "no such share" 'fails none /mnt/a && grep -q "share list" /tmp/e'
say "no such folder" 'fails docs /mnt/none'
say "no such option" 'fails docs /mnt/a -o sometimes && grep -q sometimes /tmp/e'
say "no such device" 'fails docs /mnt/a -o tag=other && grep -q "folder shared" /tmp/e'
say "remount of another's" '! mount -t lodge -o remount,ro x /proc 2>/tmp/e && grep -q "no folder of the host" /tmp/e'
say "mount -a leaves noauto alone" 'umount /mnt/docs && mount -a && [ -e /mnt/docs/one ] && ! [ -e /mnt/later/held ]'
say "mount DIR, by fstab" 'mount /mnt/later && [ -e /mnt/later/held ] && umount /mnt/later'
say "the tag is all of them" 'mount -t lodge lodge /mnt/a && [ -e /mnt/a/docs/one ] && umount /mnt/a'
END
ln -s usr/lib/systemd/systemd tree/init
(cd tree && find . | cpio -o -H newc -R 0:0 --quiet) >initrd
echo "# the root: $(du -sm initrd | cut -f1) MiB, $SECONDS s"

mkdir -p vms/lodge/box
cat >vms/lodge/box/vm.conf <<-CONF
	[cpu]
	count=1
	[memory]
	size=512M
	[boot]
	kernel=/boot/vmlinuz-$kernel
	initrd=$WORK/initrd
	append=console=ttyS0 quiet panic=-1 systemd.unit=lodge-test.target systemd.log_target=kmsg systemd.default_standard_output=kmsg systemd.default_standard_error=kmsg
	on-reset=restart
	[serial]
	backend=file:$WORK/console
	[device]
	legacy=yes
	shares=yes
	[backdoor]
	ports=off
CONF

# in_box COMMAND: a shell's, as root; both streams
in_box() {
	timeout -k 5 60 lodge exec box -- sh -c "$1" 2>&1 </dev/null
}

by() {
	lodge info box | grep -q "shares .*/mnt/lodge by $1,"
}

no_tools() {
	lodge info box | grep -q 'TOOLS *none'
}

# fstab_is_there WAY: lodge_fs waits for its device. By messages the line fails where lodged's port comes later than it
# does; systemd leaves it alone then.
fstab_is_there() {
	[ "$1" = lodge_fs ] || in_box 'systemctl start mnt-docs.mount' >/dev/null
	in_box 'cat /mnt/docs/one'
}

check_boot() {
	ok "the VM starts" lodge start box
	ok "its tools come" lodge wait --timeout 120 box tools
	ok "shares are there by $1" wait_for 30 by "$1"
	is "$(in_box 'cat /mnt/lodge/docs/one; [ -e /lib/modules/*/virtiofs.ko ] || grep virtiofs /proc/filesystems')" one "with no virtiofs"
	ok "so is the line of fstab" wait_for 60 fstab_is_there "$1"
	like "$(in_box 'grep " /mnt/docs " /proc/mounts; touch /mnt/docs/x')" "/mnt/docs fuse.lodge.* ro,.*Read-only" "read-only, as it says"
}

lodged_is_new() {
	local now
	now=$(in_box 'pidof lodged')
	[[ $now =~ ^[0-9]+$ ]] && [ "$now" != "$1" ]
}

# restart_lodged WAY: with a file open; sets $good to whether that could be written afterwards
restart_lodged() {
	local before
	before=$(in_box 'rm -f /run/holds /run/go /run/good; systemctl start holder; until [ -e /run/holds ]; do sleep 0.1; done; pidof lodged')
	in_box 'systemctl --no-block restart lodged' >/dev/null
	ok "lodged is restarted" wait_for 60 lodged_is_new "$before"
	ok "shares are there by $1" wait_for 30 by "$1"
	in_box 'touch /run/go; until systemctl show -p ActiveState holder | grep -qE "inactive|failed"; do sleep 0.1; done' >/dev/null
	good=$(in_box '[ -e /run/good ] && echo yes')
}

# restart_box WAY: by the guest's systemd
restart_box() {
	in_box 'systemctl --no-block reboot' >/dev/null
	ok "reboot" wait_for 60 no_tools
	ok "the tools come again" lodge wait --timeout 120 box tools
	ok "shares, too, by $1" wait_for 30 by "$1"
	ok "and the line of fstab" wait_for 60 fstab_is_there "$1"
	is "$(kernel_complains)" "" "the kernel complains of nothing"
}

# What is on its host when it starts.
add_shares() {
	ok "a share" lodge share add box "docs=$PWD/docs"
	ok "and another" lodge share add box "work=$PWD/work"
}

kernel_complains() {
	in_box 'dmesg | grep -E "BUG:|WARNING: CPU|Oops|Call Trace|refcount"'
}
