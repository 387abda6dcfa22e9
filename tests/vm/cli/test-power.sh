#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A VM that was made by create and has tools: who it is, its heartbeat and address; reboot and shutdown by the
# tools, by the button where they do not answer, and the word that is left where nothing helps.
# TIMEOUT: 400
# USER: ordinary
# NEEDS: lodge lodged busybox
# shellcheck source=tests/vm/lib.sh
. "$LIB"

conf=$HOME/.local/share/lodge/box/vm.conf

make_vm() {
	create_host_vm box
	printf '\n[tools]\nheartbeat=2\n' >>"$conf"
	ok "start" lodge start box
	ok "its tools report" lodge wait --timeout 90 box tools
}

json() {
	lodge info --json box | python3 -c "import json, sys; print(json.load(sys.stdin)$1)" 2>&1
}

check_identity() {
	local uuid
	uuid=$(sed -n 's/^uuid=//p' "$conf")
	like "$uuid" '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' "create wrote a UUID"
	is "$(json '["uuid"]')" "$uuid" "info tells it"
	is "$(lodge exec -n box cat /sys/class/dmi/id/product_uuid)" "$uuid" "the guest has it of SMBIOS"
}

check_heartbeat() {
	is "$(json '["tools"]["heartbeat"]["every"]')" 2 "the heartbeat's period"
	ok "it beats" wait_for 60 sh -c \
		'lodge info box | grep -q -E "heartbeat +well: the last answer [0-9] s ago, asked every 2 s"'
	lodge events box >heard &
	ok "events are heard" wait_for 60 test -e heard
	# Its end is never told.
	lodge exec -n box pkill -STOP -x lodged >/dev/null 2>&1 &
	ok "a stopped lodged is missed" wait_for 60 grep -q '"heartbeat-missed"' heard
	kill -KILL $!
	like "$(lodge info box)" "heartbeat +missed: no answer for [0-9]+ s" "which info says"
	like "$(json '["tools"]["heartbeat"]["missed"]')" True "in JSON, too"
}

check_address() {
	run lodge wait --timeout 1 box ip
	is "$status" 75 "no address yet"
	lodge wait --timeout 90 box ip >address &
	lodge exec -n box -- sh -c 'modprobe dummy && busybox ip link add lan0 type dummy &&
		busybox ip addr add 10.9.8.7/24 dev lan0 && busybox ip link set lan0 up' >link.log 2>&1
	is "$? $(cat link.log)" "0 " "an interface gets an address"
	wait $!
	is "$? $(cat address)" "0 10.9.8.7" "wait ip returns with it"
	like "$(lodge info box)" "nic +lan0 [0-9a-f:]+ 10.9.8.7/24" "info lists it"
}

boot_id() {
	lodge exec -n box cat /proc/sys/kernel/random/boot_id
}

check_reboot() {
	local before
	before=$(boot_id)
	ok "reboot by the tools" lodge reboot --timeout 60 box
	like "$(boot_id)" '^[0-9a-f-]{36}$' "the guest is there again"
	[ "$(boot_id)" != "$before" ]
	is $? 0 "and it is another start"
	check_identity
}

make_vm
[ $failures = 0 ] || exit 1
check_identity
check_address
check_reboot
check_heartbeat

# lodged still is stopped.
run lodge shutdown --timeout 0 box
is "$status" 75 "shutdown gives up in time"
like "$err" "still runs after 0 s: its tools were asked, .* --timeout, or run: lodge kill box" "and says what is left"
ok "it does not sit out the 20 s of tools that answer" lodge shutdown --timeout 19 box
like "$(lodge list)" "box +off" "which shuts the guest down"

ok "start again" lodge start box
ok "with its tools" lodge wait --timeout 90 box tools
timeout -s KILL 60 lodge exec -n box pkill -KILL -x lodged >/dev/null 2>&1
ok "without tools" wait_for 60 sh -c 'lodge info box | grep -q "TOOLS  *none"'
ok "reboot by the button and a start" lodge reboot --timeout 60 box
ok "brings the tools back" lodge wait --timeout 90 box tools
ok "kill" lodge kill box

ok "a guest without an ear" lodge set box boot.append='console=ttyS0 panic=0 init=/none rdinit=/none'
ok "starts" lodge start box
run lodge shutdown --timeout 1 box
like "$status $err" "75 .*still runs after 1 s: it has no tools to ask, and the power button did nothing" \
	"shutdown says that nothing helped"
run lodge reboot --timeout 1 box
like "$status $err" "75 .*still runs after 1 s" "so does reboot"
ok "kill it" lodge kill box
ok "delete" lodge delete --yes box
