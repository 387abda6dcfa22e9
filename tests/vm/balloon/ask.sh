# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
# What scenarios of a guest's memory share: a VM's figures, and a guest that does what it is told. Source it behind
# lib.sh, with $name set to the VM's.

# A figure of the balloon: target, actual or reported.
figure() {
	lodge info --json "$name" | sed -n "s/^ *\"$1\" *: *\([0-9]*\).*/\1/p" | head -n 1
}

# is_mib LEAST MOST FIGURE
is_mib() {
	local bytes
	bytes=$(figure "$3")
	[ -n "$bytes" ] && [ "$bytes" -ge $(($1 << 20)) ] && [ "$bytes" -le $(($2 << 20)) ]
}

# Whether `lodge info` says that this driver gives the memory.
is_driver() {
	lodge info "$name" | grep -q "^memory .* $1"
}

# Resident shared memory of the monitor, MiB: the guest's.
resident() {
	awk '/^RssShmem:/ { print int($2 / 1024) }' "/proc/$(pgrep -n -x lodge-vmm)/status"
}

# Runs the commands that lie in the file "todo", one file at a time; what they say is in "said" when "todo" is gone.
cat >job.sh <<'END'
cd /mnt/lodge/job
touch up
while :; do
	if [ -e todo ]; then
		sh ./todo >said 2>&1
		echo $? >code
		rm todo
	fi
	sleep 0.2
done
END

is_done() {
	[ ! -e todo ]
}

# in_guest TEXT: its status; $said is what it said. 255 where it does not end in 120 s.
in_guest() {
	printf '%s\n' "$1" >todo.new
	mv todo.new todo
	wait_for 120 is_done || { said='it does not end'; return 255; }
	said=$(cat said)
	return "$(cat code)"
}
