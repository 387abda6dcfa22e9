#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The same guest where neither virtiofs nor lodge_fs may be loaded: shares by lodged's messages, after a reboot, too, and
# what lodged's restart does to them.
# TIMEOUT: 420
# NEEDS: lodge lodged busybox cpio udevadm systemctl systemd-run depmod
# shellcheck source=tests/vm/lib.sh disable=SC2016
. "$LIB"
# shellcheck source=tests/vm/vhost-user/guest.sh
. "$TOP/tests/vm/vhost-user/guest.sh"
# shellcheck source=tests/vm/shares/systemd-guest.sh
. "$TOP/tests/vm/shares/systemd-guest.sh"

sed -i 's/^append=.*/& module_blacklist=lodge_fs/' vms/lodge/box/vm.conf
add_shares
check_boot rpc
echo "# the boot: until $SECONDS s"
restart_lodged rpc
is "$good" "" "what was open by messages is lost with lodged"
is "$(in_box 'cat /mnt/lodge/docs/one')" one "what is opened is there"
echo "# restart: until $SECONDS s"
restart_box rpc
echo "# reboot: until $SECONDS s"
lodge kill box
[ "$failures" = 0 ] || console | tail -n 60 | sed 's/^/#   /'
