#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What test-stress.sh does, in a share that is mounted by the module lodge_fs.
# TIMEOUT: 600
# NEEDS: stress-ng fio fs_mark
export FS_BY=$TOP/tests/vm/fs/by-lodge-fs.sh
# shellcheck source=tests/vm/fs/test-stress.sh
. "$TOP/tests/vm/fs/test-stress.sh"
