#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Shares of a guest that runs systemd and whose kernel has no virtiofs at all: there after the boot and after a reboot,
# by lodge_fs; mount(8) and fstab(5) by the name lodge; and what lodged's restart does to open files.
# TIMEOUT: 300
# NEEDS: lodge lodged busybox cpio udevadm systemctl systemd-run depmod
# shellcheck source=tests/vm/lib.sh disable=SC2016
. "$LIB"
# shellcheck source=tests/vm/vhost-user/guest.sh
. "$TOP/tests/vm/vhost-user/guest.sh"
# shellcheck source=tests/vm/shares/systemd-guest.sh
. "$TOP/tests/vm/shares/systemd-guest.sh"

add_shares
check_boot lodge_fs
echo "# the boot: until $SECONDS s"
restart_lodged lodge_fs
is "$good" yes "a file that was open is written on"
is "$(cat work/held)" "old
before
after" "and the host has all of it"
was=$(in_box 'pidof mount.lodge')
like "$(in_box 'for pid in $(pidof mount.lodge); do cat /proc/$pid/cgroup; done')" "/(run-.*scope|mnt-docs.mount)" "mount.lodge is not lodged's"
in_box 'kill -9 $(pidof mount.lodge)'
served_by_another() { [ "$(in_box 'pidof mount.lodge; cat /mnt/lodge/docs/one' | grep -cvxF "$was")" = 2 ]; }
ok "where it dies, the lodged that found it starts another" wait_for 30 served_by_another
in_box '/usr/bin/umount -l /mnt/docs; /usr/bin/mount /mnt/docs' >/dev/null
echo "# restart: until $SECONDS s"
relay_checks < <(in_box 'sh /mounts.sh')
echo "# mounts: until $SECONDS s"
is "$(kernel_complains)" "" "the kernel complains of nothing of all that"
restart_box lodge_fs
echo "# reboot: until $SECONDS s"
lodge kill box
