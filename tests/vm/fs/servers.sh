# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The file servers of a VM that runs as $vm. Source it behind lib.sh.

# descendants PID: of the process, and itself
descendants() {
	local child
	echo "$1"
	while read -r child; do
		descendants "$child"
	done < <(cat "/proc/$1"/task/*/children 2>/dev/null | tr ' ' '\n' | grep .)
}

# servers WORD: those that serve (each keeper has one), with WORD among their arguments
servers() {
	local pid
	# shellcheck disable=SC2154 # the scenario has it
	for pid in $(descendants "$vm"); do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = lodge-fsd ] &&
			tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -- "$1" && echo "$pid"
	done
}
