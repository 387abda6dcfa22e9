#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lodge_balloon against a host that asks for too much, again and again, that never answers, or that talks nonsense;
# loaded twice, unloaded in the midst of it and under pressure, relieved by the shrinker alone, and hibernation.
# TIMEOUT: 300
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/backdoor/module.sh
. "$TOP/tests/vm/backdoor/module.sh"

# The real device makes room for a host of the test's, in the guest itself: its pages stay where they are.
# shellcheck disable=SC2016 # for the guest
in_guest 1 '
	host=/sys/module/lodge_test_host/parameters
	balloon=/sys/module/lodge_balloon/parameters
	load() { insmod $modules/lodge_balloon.ko reporting=0 patience=1 hold=1; }
	figure() { sed -n "s/^$1: *\([0-9]*\).*/\1/p" /proc/meminfo; }
	gives() { [ $(cat $host/given) $1 $2 ]; }
	given_again() { [ $(figure MemFree) -ge $(($free - 8192)) ]; }
	settled() { n_given=$(cat $host/given); sleep 1; [ $n_given = $(cat $host/given) ]; }
	ends() { while kill -0 $1 2>/dev/null; do sleep 0.1; done; wait $1; }
	echo $dev >$bus/unbind
	insmod $modules/../test/lodge_test_host.ko balloon=1 calm=1
	rmmod virtio_balloon 2>/dev/null
	echo 3 >/proc/sys/vm/drop_caches
	total=$(figure MemTotal) free=$(figure MemFree)

	load
	say "loaded twice: refused" "! load 2>/dev/null"
	echo 16384 >$host/target
	say "it gives 64 MiB" "soon \"gives -eq 16384\""
	say "none of which is free" "[ $(figure MemFree) -le $(($free - 57344)) ]"
	echo 0 >$host/target
	say "a target of 0" "soon \"gives -eq 0\""
	echo 1088 >$host/cycle_pages
	echo 1000 >$host/cycles
	cycled() { [ $(cat $host/cycles) = 0 ] && gives -eq 0; }
	compact() { echo 1 >/proc/sys/vm/compact_memory; }
	while :; do compact; sleep 0.1; done &
	compactor=$!
	say "1,000 times 4 MiB and 64 pages, some of which are moved" "soon cycled || soon cycled || soon cycled"
	kill $compactor
	say "the memory is what it was" "[ $(figure MemTotal) = $total ] && soon given_again"

	echo 4294967295 >$host/target
	soon "gives -gt 4096"
	say "16 TiB: it gives what it can" "soon settled"
	say "and keeps its floor" "[ $(figure MemAvailable) -ge 30000 ]"
	dd if=/dev/zero of=/dev/shm/file bs=1M count=64 2>/dev/null &
	filler=$!
	rmmod lodge_balloon
	say "unloaded under pressure" "[ ! -e /sys/module/lodge_balloon ]"
	ends $filler
	say "who needed memory got it" "[ $? = 0 ] && ! dmesg | grep -i \"out of memory\""
	rm -f /dev/shm/file
	say "and all of it is there again" "gives -eq 0 && soon given_again"

	echo 16384 >$host/target
	load
	soon "gives -eq 16384"
	echo 2 >/proc/sys/vm/drop_caches
	say "the shrinkers alone take nothing while the floor is available" "gives -eq 16384"
	echo 60000 >$balloon/floor
	echo 2 >/proc/sys/vm/drop_caches
	say "below the floor they do" "gives -lt 16384"
	echo 0 >$balloon/floor
	say "and the host has its word kept later" "soon \"gives -eq 16384\""
	back=$(cat $host/back)
	echo freezer >/sys/power/pm_test
	echo disk >/sys/power/state
	echo none >/sys/power/pm_test
	say "hibernation finds nothing in the balloon" "[ $(cat $host/back) -ge $(($back + 16384)) ]"
	say "which is full again behind it" "soon \"gives -eq 16384\""

	echo 16684 >$host/target
	soon "gives -eq 16684"
	dmesg -C
	echo 1 >$host/mute
	compact &
	compactor=$!
	echo 24576 >$host/target
	complains() { dmesg | grep -q "host does not answer"; }
	say "a host that does not answer is reset" "soon complains"
	ends $compactor
	say "who moves pages does not wait for it" "[ $? = 0 ]"
	echo 60000 >$balloon/floor
	echo 2 >/proc/sys/vm/drop_caches
	rmmod lodge_balloon
	say "unloaded without its answer" "[ ! -e /sys/module/lodge_balloon ]"
	load
	for n in 1 2 3; do rmmod lodge_balloon; load; done
	rmmod lodge_balloon
	say "and before it has ever answered" "[ ! -e /sys/module/lodge_balloon ]"
	say "the memory is there again" "soon given_again"

	echo 0 >$host/mute
	echo 0 >$host/calm
	for n in 1 2 3 4 5 6; do load; sleep 1; rmmod lodge_balloon; done
	say "a host that talks nonsense" "[ ! -e /sys/module/lodge_balloon ]"
	say "costs no memory" "soon given_again"
	rmmod lodge_test_host
	dmesg | grep -v lodge_test: | wc -l | sed "s/^/lines in the log: /"
	echo $dev >$bus/bind
	say "the real one is served again" "backdoor-client basic >/tmp/basic && load && rmmod lodge_balloon"
'
