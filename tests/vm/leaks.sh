#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# In a guest, as root: prints what our modules have allocated and nobody knows any more, and is true where that is nothing;
# also where the kernel does not look for it (CONFIG_DEBUG_KMEMLEAK).
list=/sys/kernel/debug/kmemleak
[ -e $list ] || mount -t debugfs debug /sys/kernel/debug 2>/dev/null
[ -e $list ] || exit 0
# What is younger than 5 s, or is looked at for the first time, the kernel does not tell of.
echo scan >$list
sleep 5
echo scan >$list
# Functions of a module that is not there any more have no names, those of the kernel always do.
awk '/^unreferenced object/ { tell(); text = "" } { text = text $0 "\n" } END { tell(); exit found }
	function tell() { if (text ~ /\[lodge_|\] 0xffffffff/) { printf "%s", text; found = 1 } }' $list
