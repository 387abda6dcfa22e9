#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# by-lodge-fs.sh COMMAND...: in a guest, with all shares mounted by the module lodge_fs at /mnt/lodge.
# shellcheck source=tests/vm/fs/device.sh
. "$TOP/tests/vm/fs/device.sh"
insmod "$BUILD/modules/$(uname -r)/lodge_fs.ko" take=1 || exit
mount.lodge lodge /mnt/lodge -o way=lodge_fs || exit
exec "$@"
