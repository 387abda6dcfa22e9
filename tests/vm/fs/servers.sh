# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The file servers of a VM that runs as $vm, and what starts them. Source it behind lib.sh.

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

# parent PID
parent() {
	awk '$1 == "PPid:" { print $2 }' "/proc/$1/status"
}

# with_keeper PID: the server and what starts it, which comes first
with_keeper() {
	echo "$(parent "$1") $1"
}

# with_guard PID: the same, and what starts that: all of a file server
with_guard() {
	echo "$(parent "$(parent "$1")") $(with_keeper "$1")"
}
