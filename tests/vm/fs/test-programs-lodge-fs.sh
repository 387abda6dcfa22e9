#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What test-programs.sh does, in a share that is mounted by the module lodge_fs.
# TIMEOUT: 600
# NEEDS: git tar sqlite3 dpkg dpkg-deb gcc make
export FS_BY=$TOP/tests/vm/fs/by-lodge-fs.sh
# shellcheck source=tests/vm/fs/test-programs.sh
. "$TOP/tests/vm/fs/test-programs.sh"
