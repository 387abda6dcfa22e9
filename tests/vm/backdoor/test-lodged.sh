#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Our own tools in a guest, over each door alone: they register, tell facts, carry variables both ways, run
# programs and copy files where the door has streams, survive being killed, cost next to nothing while
# nothing happens, and shut the guest down by its script.
# TIMEOUT: 400
# NEEDS: lodge
# shellcheck source=tests/vm/lib.sh
. "$LIB"

run lodged --run-folder="$PWD/run"
is "$status" 69 "under neither Lodge nor VMware lodged ends with 69"
like "$err" "neither Lodge nor VMware is under this system .virtio: .*port: .*ioports: " "and says what it looked for"

mkdir shared
cat >shared/in.sh <<'END'
#!/bin/sh
# in.sh DOOR: the guest's side
door=$1 w=/mnt/lodge/w
PATH=/mnt/lodge/bin:$PATH
case $door in virtio | best) insmod "/mnt/lodge/modules/$(uname -r)/lodge_backdoor.ko" || exit 9 ;; esac
only=--door=$door
[ "$door" != best ] || only=
# The one that comes with an instant VM takes any door.
sh -c "$END_LODGED"
mkdir -p /etc/lodge/scripts
# Keeping the clock is what it wakes up for by itself.
printf '[guest-ops]\nallow-exec=root\n[time]\nsync=no\n' >/etc/lodge/tools.conf
for name in poweroff suspend; do
	printf '#!/bin/sh\necho "$1" >>%s/%s-%s\n' "$w" "$name" "$door" >/etc/lodge/scripts/$name
	chmod 755 /etc/lodge/scripts/$name
done
while :; do
	lodged $only 2>>"$w/log-$door"
	code=$?
	echo "lodged ended with $code" >>"$w/log-$door"
	[ $code = 137 ] || break
done &
until [ "$(lodge-toolbox --door=daemon rpc "info-get guestinfo.from-host" 2>/dev/null)" = hello ]; do
	sleep 0.2
done
lodge-toolbox status >"$w/status-$door"
lodge-toolbox -q config get guest-ops allow-exec >>"$w/status-$door"
lodge-toolbox stat hosttime >"$w/hosttime-$door" 2>&1
pid=$(pidof lodged)
switches() { sed -n 's/^voluntary_ctxt_switches:\t//p' "/proc/$pid/status"; }
# Once it is through with what it was asked above; at the I/O ports it asks for commands for ever.
tries=0
until before=$(switches) && sleep 1 && [ "$(switches)" = "$before" ]; do
	tries=$((tries + 1))
	[ $tries -lt 30 ] && [ "$door" != ioports ] || break
done
before=$(switches)
sleep 5 # what is counted is what happens in this time
echo $(($(switches) - before)) >"$w/wakeups-$door"
sed -n 's/^Private_Clean: *\([0-9]*\) kB/\1/p; s/^Private_Dirty: *\([0-9]*\) kB/\1/p' \
	"/proc/$pid/smaps_rollup" >"$w/memory-$door"
lodge-toolbox rpc "info-set guestinfo.from-guest world"
wait
sleep 600
END

# start DOOR: a guest of that name
start() {
	local options=()
	case $1 in virtio | best) options=(--share "modules=$BUILD/modules:ro") ;; esac
	lodge run --name "$1" --memory 384M --set tools.heartbeat=0 --env "END_LODGED=$end_lodged" --share "w=$PWD/shared" \
		--share "bin=$BUILD/bin:ro" "${options[@]}" -- sh /mnt/lodge/w/in.sh "$1" >"run-$1" 2>&1 </dev/null &
	ok "$1: the guest starts" wait_for 60 lodge info "$1"
}

fact() {
	lodge info --json "$1" | python3 -c "import json, sys; print(json.load(sys.stdin)$2)" 2>&1
}

common() {
	local door=$1
	start "$door"
	ok "$door: the tools register" lodge wait --timeout 60 "$door" tools
	ok "$door: a variable for the guest" lodge var set "$door" from-host=hello
	ok "$door: and one from it" lodge wait --timeout 60 "$door" var guestinfo.from-guest=world
	like "$(lodge info "$door")" "$(sed -n 's/^PRETTY_NAME="\([^(]*\) .*/\1/p' /etc/os-release)" "$door: facts arrive"
	like "$(cat "shared/status-$door")" "rpc +[12] .*power +1 " "$door: status says what works"
	like "$(cat "shared/status-$door")" 'allow-exec = root' "$door: config reads tools.conf"
	like "$(cat "shared/log-$door")" "connected to the host through the $door door" "$door: the log says which door"
	memory=$(awk '{ kb += $1 } END { print kb }' "shared/memory-$door")
	echo "# $door: $memory KiB private, $(cat "shared/wakeups-$door") wake-ups in 5 s"
	ok "$door: less than 4 MiB of its own memory" [ "$memory" -lt 4096 ]
}

with_streams() {
	local door=$1 waiting
	is "$(cat "shared/wakeups-$door")" 0 "$door: no wake-ups while nothing happens"
	is "$(echo in | lodge exec "$door" -- cat)" in "$door: what a program reads comes from here"
	run lodge exec -n "$door" -- sh -c 'echo out; echo err >&2; exit 7'
	is "$status $out $err" "7 out err" "$door: a program's streams and status"
	run lodge exec -n "$door" -- no-such-program
	is "$status" 127 "$door: 127 for what is nowhere"
	head -c 3000000 /dev/urandom >sent
	ok "$door: a file goes in" lodge cp -q sent "$door:/root/sent"
	ok "$door: and out" lodge cp -q "$door:/root/sent" back
	ok "$door: the same" cmp sent back
	rm -rf tree tree-back
	mkdir -p tree/sub
	printf 'x%.0s' {1..5000} >tree/sub/file
	ln -s sub/file tree/link
	ok "$door: a folder goes in" lodge cp -q tree "$door:/root/tree"
	ok "$door: and out" lodge cp -q "$door:/root/tree" tree-back
	ok "$door: the same" diff -r --no-dereference tree tree-back
	like "$(lodge ps --json "$door")" '"lodged' "$door: its processes are listed"

	lodge exec -n "$door" -- sleep 1234 >exec-out 2>exec-err &
	waiting=$!
	ok "$door: a program runs" wait_for 60 lodge exec -n "$door" -- pgrep -fx 'sleep 1234'
	# shellcheck disable=SC2016 # for the guest
	run timeout 60 lodge exec -n "$door" -- sh -c 'kill -9 $(pidof lodged)'
	is "$status" 125 "$door: lodged is killed under it"
	wait "$waiting"
	is "$? $(cat exec-out)" "125 " "$door: which the host's command hears"
	like "$(cat exec-err)" "tools" "$door: in words"
	ok "$door: lodged comes again" lodge wait --timeout 60 "$door" tools
	ok "$door: the program died with lodged" wait_for 60 sh -c \
		"lodge exec -n $door -- pgrep -fx 'sleep 1234'; [ \$? = 1 ]"
	ok "$door: no zombie stays" wait_for 60 sh -c \
		"lodge exec -n $door -- sh -c \"ps -eo stat,comm | grep '^Z'\"; [ \$? = 1 ]"
}

# What the host sends before it suspends the VM; there is no command for it.
prepare_suspend() {
	python3 - "$XDG_RUNTIME_DIR/lodge/$1/control.sock" <<'END'
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.settimeout(10)
client.connect(sys.argv[1])
client.sendall(b'{"id":1,"method":"power","params":{"what":"suspend"}}\n')
print(client.recv(65536).decode(), end="")
END
}

check_suspend() {
	lodge events "$1" >"events-$1" &
	ok "$1: events are heard" wait_for 20 test -e "events-$1"
	like "$(prepare_suspend "$1")" '"result"' "$1: the host asks for a suspend"
	ok "$1: its script runs" wait_for 30 grep -qx suspend "shared/suspend-$1"
	ok "$1: which the host hears" wait_for 30 sh -c "grep suspend events-$1 | grep -q 'yes\|true'"
	kill $! 2>/dev/null
	wait $!
}

shut_down() {
	run lodge shutdown --timeout 60 "$1"
	is "$status" 0 "$1: shutdown"
	is "$(cat "shared/poweroff-$1" 2>&1)" halt "$1: after its script"
	like "$(cat "shared/log-$1")" "halt, as the host asked" "$1: by lodged"
}

doors='port ioports'
if [ -e "$BUILD/modules/$guest_version/lodge_backdoor.ko" ]; then
	doors="$doors virtio"
else
	echo "# no lodge_backdoor.ko for $guest_version: the virtio door is left out (make test-modules)"
fi
for door in $doors; do
	common "$door"
	if [ "$door" = ioports ]; then
		is "$(fact ioports '["tools"]["privilege"]')" owner "ioports: the guest's kernel gave it the ports"
		like "$(cat shared/hosttime-ioports)" '^[0-9]{2} [A-Z][a-z]{2} [0-9]{4} ' "ioports: stat hosttime"
		run lodge exec -n ioports -- true
		is "$status" 125 "ioports: exec says that it cannot"
	else
		with_streams "$door"
	fi
	check_suspend "$door"
	shut_down "$door"
	[ "$failures" = 0 ] || sed "s/^/# $door: /" "shared/log-$door" "run-$door"
done

# With all doors there lodged takes the module's, and the port when that goes.
case $doors in *virtio*)
	start best
	ok "best: lodged takes the module's" wait_for 60 grep -q 'connected to the host through the virtio door$' shared/log-best
	# Before that there were those of an instant VM.
	ok "best: the tools register" lodge wait --timeout 60 best tools
	# shellcheck disable=SC2016 # for the guest
	run timeout 30 lodge exec -n best -- sh -c 'cd /sys/bus/virtio/drivers/lodge_backdoor && echo virtio[0-9]* >unbind'
	ok "best: the device goes, and the port serves" wait_for 60 grep -q 'connected to the host through the port door; not virtio: ' shared/log-best
	ok "best: the tools are back" lodge wait --timeout 60 best tools
	is "$(lodge exec -n best -- echo here)" here "best: and run programs"
	like "$(lodge exec -n best -- /mnt/lodge/bin/lodge-toolbox status)" "rpc +1 " "best: status says so"
	run lodge exec -n best -- sh -c "
		cd /sys/bus/virtio/drivers/lodge_backdoor && echo \$(cd ../../devices && grep -l 0x003f */device | cut -d/ -f1) >bind
		sleep 3
		cat /mnt/lodge/w/log-best"
	ok "best: the device comes back, and is left alone while a program runs" \
		sh -c "! printf '%s' \"\$1\" | grep -q 'leaving the port'" sh "$out"
	ok "best: then lodged moves to it" wait_for 60 grep -q 'leaving the port door for a better one' shared/log-best
	ok "best: the tools are back" lodge wait --timeout 60 best tools
	like "$(lodge exec -n best -- /mnt/lodge/bin/lodge-toolbox status)" "rpc +2 " "best: status says so"
	ok "best: kill" lodge kill best
	[ "$failures" = 0 ] || sed "s/^/# best: /" shared/log-best run-best
	;;
esac
