#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The host's command and a guest's tools: exec, cp, ps, var, wait, events, shutdown, on an instant VM; over the
# virtio-serial port, and over /dev/lodge, to which lodged moves when the module is loaded.
# TIMEOUT: 500
# NEEDS: lodge lodged
# shellcheck source=tests/vm/lib.sh disable=SC2016
. "$LIB"

check_start() {
	lodge run --name box --memory 512M -- sleep 1000 >run.log 2>&1 &
	vm=$!
	ok "the VM starts" wait_for 60 test -S "$runtime/tools.sock"

	run lodge exec box true
	if [ "$status" = 0 ]; then
		pass "exec without tools (they were faster)"
	else
		is "$status" 125 "exec without tools gives 125"
		like "$err" "no tools: " "and says why"
	fi
	run lodge exec nobody true
	is "$status" 125 "so does a VM that is not there"
	like "$err" "there is no VM" "which is said"
	lodge events box >events.log &
	ok "wait tools" lodge wait --timeout 90 box tools
	run lodge wait --timeout 1 box ip
	is "$status" 75 "wait ip gives up where there is no network"
	like "$err" "no address" "and says why"
}

check_statuses() {
	run lodge exec box -- sh -c 'exit 7'
	is "$status" 7 "the command's status is ours"
	run lodge exec box -- sh -c 'kill -9 $$'
	is "$status" 137 "128 + N where signal N killed it"
	run lodge exec box /no/such
	is "$status" 127 "127 where there is no such program"
	like "$err" "No such file" "which is said"
	run lodge exec box /etc
	is "$status" 126 "126 where it cannot be started"
	run lodge exec --timeout 1 box sleep 100
	is "$status" 124 "124 when the time is over"
	run lodge exec box -- sh -c 'echo out; echo err >&2'
	is "$out/$err" "out/err" "two streams"
	run lodge exec --dir /usr --env 'A=b c' box -- sh -c 'pwd; echo "$A"; id -un'
	is "$out" $'/usr\nb c\nroot' "folder, environment, user"
	run lodge exec --user nobody box id -un
	is "$out" nobody "another user"
	run lodge exec --user nosuch box id
	is "$status" 125 "a user that is not there"
	# A person's own profile may do anything, and long. The guest's root is a copy.
	lodge exec -n box -- sh -c 'rm -f /root/.profile /root/.bash*'
	is "$(echo 'echo from a shell; exit 3' | lodge shell box; echo $?)" $'from a shell\n3' "shell reads commands"
}

check_terminals() {
	run lodge exec --tty box stty size
	like "$out" "24 80" "a terminal has a size"
	like "$(script -qec 'stty cols 91 rows 33; lodge exec -t box stty size' /dev/null </dev/null)" "33 91" "which is ours"
}

# peak PROCESS: its memory in KiB, at most so far
peak() {
	awk '/^VmHWM/ { print $2 }' "/proc/$1/status"
}

# anonymous PROCESS: its own memory in KiB, now. The monitor's peak would hold what it touched of the guest's.
anonymous() {
	awk '/^RssAnon/ { print $2 }' "/proc/$1/status"
}

# To make them costs an emulated processor as much as to move them.
numbers='seq 3600000 | head -c 25165824'

check_bulk() {
	monitor=$(pgrep -u "$(id -u)" -f "^[^ ]*lodge-vmm .*$runtime" | head -n 1)
	daemon() { lodge exec -n box -- sh -c "awk '/^VmHWM/ { print \$2 }' /proc/\$(pgrep -o lodged)/status"; }
	before=$(anonymous "$monitor") guest_before=$(daemon)
	want=$(sh -c "$numbers" | md5sum)
	lodge exec -n box -- sh -c "$numbers" >bulk &
	exec_pid=$!
	most=0 grown=0
	while kill -0 $exec_pid 2>/dev/null; do
		now=$(peak $exec_pid 2>/dev/null)
		[ "${now:-0}" -le "$most" ] || most=$now
		now=$(($(anonymous "$monitor") - before))
		[ "$now" -le "$grown" ] || grown=$now
		sleep 0.2
	done
	wait $exec_pid
	is "$(md5sum <bulk)" "$want" "24 MiB of output, none lost"
	rm bulk
	# Programs, libraries and all: what matters is that it is nowhere near what passed.
	ok "lodge's memory stays small ($most KiB)" [ "$most" -lt 18000 ]
	ok "so does the monitor's (grew $grown KiB)" [ "$grown" -lt 4096 ]
	grown=$(($(daemon) - guest_before))
	ok "so does the daemon's (grew $grown KiB)" [ "$grown" -lt 4096 ]
	head -c 10485760 /dev/urandom >ten
	is "$(lodge exec box cat <ten | md5sum)" "$(md5sum <ten)" "10 MB there and back"
	is "$(lodge exec box -- head -c 5 <ten | wc -c)" 5 "input that the program does not want"
	run timeout 60 sh -c 'lodge exec -n box yes | head -c 10 | wc -c'
	is "$out" 10 "output that nobody wants ends the program"
	ok "which is gone from the guest" wait_for 60 sh -c '! lodge exec -n box pgrep -x yes'
}

check_signals() {
	lodge exec -n box -- sh -c 'trap "echo got it; exit 9" TERM; echo ready; while :; do sleep 0.1; done' >signal.log &
	pid=$!
	ok "a program waits for a signal" wait_for 60 grep -q ready signal.log
	kill -TERM $pid
	wait $pid
	is "$?/$(tail -n 1 signal.log)" "9/got it" "which is passed on"
	lodge exec -n box sleep 4321 &
	pid=$!
	ok "a program runs" wait_for 60 lodge exec -n box pgrep -f '^sleep 4321'
	kill -KILL $pid
	wait $pid 2>/dev/null
	ok "a client that is killed leaves none in the guest" wait_for 60 sh -c \
		"! lodge exec -n box pgrep -f '^sleep 4321'"
}

check_processes() {
	like "$(lodge ps box)" "sleep 1000" "ps lists processes"
	ok "in JSON" sh -c 'lodge ps --json box | python3 -c "import json, sys; assert any(p[\"pid\"] == 1 for p in json.load(sys.stdin))"'
}

check_copies() {
	printf 'some text\n' >plain && chmod 741 plain && touch -d '2001-02-03 04:05:06' plain
	ok "cp a file in" lodge cp plain box:/root/
	is "$(lodge exec -n box stat -c '%a %Y' /root/plain)" "741 $(stat -c %Y plain)" "with mode and time"
	ok "cp a file out" lodge cp box:/root/plain back
	is "$(cat back) $(stat -c '%a %Y' back)" "some text 741 $(stat -c %Y plain)" "with mode and time"
	ok "cp of 10 MB in" lodge cp ten box:/root/big
	is "$(lodge exec -n box md5sum </dev/null /root/big | cut -c1-32)" "$(md5sum <ten | cut -c1-32)" "is whole"
	ok "and out" lodge cp box:/root/big ten.back
	ok "is whole" cmp ten ten.back
	mkdir -p "tree/a b/c" && cp ten "tree/a b/ten" && echo x >tree/x && ln -s ../x "tree/a b/link" && ln -s /etc tree/etc
	chmod 500 "tree/a b/c"
	ok "cp a folder in" lodge cp tree box:/root/
	ok "and under another name" lodge cp tree box:/root/twig
	ok "and out" lodge cp box:/root/twig twig
	is "$(cd twig && find . | sort | xargs -d '\n' stat -c '%n %F %a')" \
		"$(cd tree && find . | sort | xargs -d '\n' stat -c '%n %F %a')" "the same names, kinds and modes"
	is "$(readlink twig/etc)" /etc "links stay links"
	ok "the same bytes" cmp "tree/a b/ten" "twig/a b/ten"
	mkdir keep && echo x >keep/f && ln keep/f keep/twin && truncate -s 3M keep/hole && printf x >>keep/hole
	chown -R 1234:1235 keep && chmod 4711 keep/f
	ok "cp -a a folder in" lodge cp -a keep box:/root/
	is "$(lodge exec -n box -- sh -c 'cd /root/keep && stat -c "%u %g %a %h" f && [ $(stat -c %b hole) -lt 100 ] && md5sum <hole')" \
		"1234 1235 4711 2"$'\n'"$(md5sum <keep/hole)" "with its owner, set-user-ID, hard link and hole"
	ok "and out" lodge cp -a box:/root/keep kept
	is "$(stat -c '%u %g %a %h' kept/f) $(md5sum <kept/hole)" "1234 1235 711 2 $(md5sum <keep/hole)" \
		"with them, but no set-user-ID of a guest's"
	ok "which takes no room" [ "$(stat -c %b kept/hole)" -lt 100 ]
	ok "out into the folder that is there" lodge cp box:/root/tree/x twig
	is "$(lodge cp box:/root/plain -)" "some text" "cp to standard output"
	ok "cp from standard input" sh -c 'echo via stdin | lodge cp - box:/root/in'
	is "$(lodge cp box:/root/in -)" "via stdin" "arrives"
	ok "a link that is named is followed" lodge cp box:/root/twig/etc/passwd passwd
	refuses "a file that is not there" "No such file" lodge cp box:/no/such here
	refuses "a folder that is not there" "is no folder" lodge cp plain box:/no/such/
	refuses "relative paths" "not absolute" lodge cp plain box:x
	ok "nothing half-written is left" sh -c '! ls -d here .??*.?????? 2>/dev/null'
	# Written, not only long: what is a hole is not sent.
	lodge exec -n box -- sh -c 'head -c 100M /dev/zero >/root/zeroes'
	lodge cp box:/root/zeroes aborted 2>/dev/null &
	pid=$!
	ok "a large copy is under way" wait_for 60 sh -c 'ls -d .aborted.*'
	kill -INT $pid
	wait $pid
	is "$?" 130 "and is interrupted"
	lodge exec -n box -- rm /root/zeroes
	ok "which leaves nothing" sh -c '! ls -d aborted .aborted.* 2>/dev/null'
}

check_variables() {
	ok "var set" lodge var set box color=green
	is "$(lodge var get box color)" green "var get"
	like "$(lodge var list box)" "guestinfo.color=green" "var list"
	(sleep 1; lodge var set box color=blue) &
	ok "wait var" lodge wait --timeout 20 box var color=blue
	ok "var set to nothing" lodge var set box color=
	refuses "removes it" "no variable" lodge var get box color
	cat >host-sets <<-'END'
		exec lodge var set box "big=$(head -c $1 /dev/zero | tr '\0' h)"
	END
	cat >guest-sets <<-END
		exec $BUILD/bin/lodge-toolbox rpc "info-set guestinfo.big \$(head -c \$1 /dev/zero | tr '\\0' g)"
	END
	ok "64 KiB from the host" sh host-sets 65536
	is "$(lodge exec -n box -- "$BUILD/bin/lodge-toolbox" rpc 'info-get guestinfo.big' | tr -cd h | wc -c)" 65536 \
		"are read in the guest"
	refuses "a byte more is refused" "too long" sh host-sets 65537
	ok "64 KiB from the guest" lodge exec -n box -- sh "$PWD/guest-sets" 65536
	is "$(lodge var get box big | tr -cd g | wc -c)" 65536 "are read on the host"
	run lodge exec -n box -- sh "$PWD/guest-sets" 65537
	like "$status $out$err" "^[^0].*too long" "a byte more is refused there, too"
}

# The daemon dies under a program.
check_death() {
	lodge exec -n box sleep 77 2>died.err &
	pid=$!
	ok "a program runs" wait_for 60 lodge exec -n box pgrep -f '^sleep 77'
	lodge exec -n box -- sh -c 'kill -KILL $(pgrep -o lodged)' 2>/dev/null
	wait $pid
	is "$?" 125 "lodged killed under a program gives 125"
	like "$(cat died.err)" "tools went away" "and says so"
	ok "events tell it" wait_for 60 sh -c 'tr "\n" " " <events.log | grep -q "\"event\":\"tools-up\".*\"event\":\"tools-down\""'
}

# Without tools the button is what is left.
check_end() {
	lodge wait --timeout 90 box off &
	waiting=$!
	# One that has not found the VM when it ends finds none.
	wait_for 60 sh -c "ls -l /proc/$waiting/fd | grep -q pidfd"
	run lodge shutdown --timeout 60 box
	is "$status$err" 0 "shutdown"
	wait $waiting
	is "$?" 0 "wait off"
	wait $vm
	ok "the last event" wait_for 60 sh -c 'tail -n 1 events.log | grep -q "\"event\":\"off\""'
}

has_door() {
	lodge info --json box | grep -q "\"door\"[ :]*\"$1\""
}

check_all() {
	check_statuses
	check_terminals
	check_bulk
	check_signals
	check_processes
	check_copies
	check_variables
	like "$(lodge info box)" "TOOLS  .*lodged.*system .*kernel " "info tells of the guest"
	check_death
	check_end
}

runtime=$XDG_RUNTIME_DIR/lodge/box
module=$BUILD/modules/$guest_version/lodge_backdoor.ko
for door in port virtio; do
	[ "$door" = port ] || [ -e "$module" ] || { echo "# no $module: the virtio door is left out"; break; }
	echo "# over the $door door"
	mkdir $door && cd $door || exit 1
	check_start
	if [ "$door" = virtio ]; then
		ok "the module is loaded" lodge exec -n box -- insmod "$module"
		ok "lodged moves to it by itself" wait_for 60 has_door virtio
	fi
	ok "the tools use the $door door" has_door $door
	check_all
	cd ..
done
