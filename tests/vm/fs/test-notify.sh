#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the host changes in a share is seen in the guest at once: by its caches, and by inotify with the
# module lodge_fs. What the guest changes itself is told once.
# TIMEOUT: 200
# NEEDS: inotifywait python3
# shellcheck source=tests/vm/lib.sh
. "$LIB"

mkdir -p share/dir share/many share/apart/deep
touch share/many/{0..99}
echo one >share/dir/file
echo one >share/apart/deep/file
cp -r "$BUILD/modules" share/modules

# Does what it is told on its standard input, and prints what its inotify tells.
cat >share/guest <<'END'
#!/bin/bash
cd /mnt/lodge/docs
[ "$1" != module ] || insmod "modules/$(uname -r)/lodge_fs.ko" take=0
ls dir >/dev/null
[ "$1" != module ] || python3 moves.py &
inotifywait -m -e create,modify,attrib,delete,move,close_write --format 'event %e %f' dir 2>&1 </dev/null &
inotifywait -q -m -e modify,attrib --format 'event %e alone' apart/deep/file </dev/null &
while read -r order name; do
	case $order in
	cat) echo "answer $(cat "$name")" ;;
	ls) echo "answer" $(ls "$name") ;;
	own)
		for i in 1 2 3; do
			echo x >dir/own
			mv dir/own dir/own2
			rm dir/own2
		done
		echo answer
		;;
	drop)
		# Names without a user leave the memory.
		echo 2 >/proc/sys/vm/drop_caches
		echo answer
		;;
	sum) echo "answer $(cat many/* | sha256sum)" ;;
	end) break ;;
	esac
done
kill $(jobs -p)
END
chmod +x share/guest
# inotifywait has no word for what ties the two halves of a rename together.
cat >share/moves.py <<'END'
import ctypes, os, struct

libc = ctypes.CDLL(None)
fd = libc.inotify_init()
libc.inotify_add_watch(fd, b"dir", 0xC0)  # IN_MOVED_FROM and IN_MOVED_TO of linux/inotify.h
print("moves are watched", flush=True)
while True:
    data = os.read(fd, 4096)
    while data:
        _, mask, cookie, length = struct.unpack_from("iIII", data)
        print("half", "from" if mask & 0x40 else "to", data[16:16 + length].rstrip(b"\0").decode(), cookie, flush=True)
        data = data[16 + length:]
END
mkfifo orders said
exec 7<>orders 8<>said
heard=()
times=() # ms, of timed()

# await REGEX: until the guest has said such a line, in $line; what it said before is in $heard.
await() {
	while read -t $((20 * slowness)) -r line <&8; do
		heard+=("$line")
		[[ $line =~ $1 ]] && return
	done
	return 1
}

# had REGEX: whether it has said so already
had() {
	printf '%s\n' "${heard[@]}" | grep -q "$1"
}

ask() {
	echo "$*" >&7
	await '^answer' || line='answer: none'
	answer=${line#answer}
	answer=${answer# }
}

begin() {
	lodge run --memory 384M --share docs=share -- /mnt/lodge/docs/guest "$1" <orders >said 2>&1 &
	guest_pid=$!
	heard=()
	ok "the guest watches its folder ($1)" await '^Watches established'
	[ "$1" != module ] || had '^moves are watched' || ok "and renames in it" await '^moves are watched'
}

# Until events come: another thread of the server watches folders, soon after the guest knows them.
await_events() {
	for _ in $(seq 50); do
		rm -f "share/dir/$1"
		touch "share/dir/$1"
		while read -t 0.2 -r line <&8; do
			[[ $line = "event CREATE $1" ]] && return
		done
	done
	return 1
}

finish() {
	echo end >&7
	wait "$guest_pid"
	is $? 0 "the guest ends well ($1)"
}

# A change by the host, and how long until the guest's program has printed the event.
# timed EVENT NAME COMMAND...
timed() {
	local event=$1 name=$2 began
	shift 2
	heard=()
	began=${EPOCHREALTIME/./}
	"$@"
	if await "^event $event $name\$"; then
		times+=($(((${EPOCHREALTIME/./} - began) / 1000)))
		pass "inotify tells of $event"
		echo "# notify.$event: ${times[-1]} ms from the change to the line that the guest prints"
	else
		fail "inotify tells of $event" "${heard[@]}"
	fi
}

count() {
	printf '%s\n' "${heard[@]}" | grep -c "$1"
}

median() {
	printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"
}

put() {
	echo "$1" >"$2"
}

put_noted() {
	put "$@"
	stamps=$(stat -c '%y %z' "$2")
}

begin plain
ask cat dir/file
is "$answer" one "a file is read"
put "two, longer" share/dir/file
sleep 0.3
ask cat dir/file
is "$answer" "two, longer" "its new content is there"
put new share/dir/new
sleep 0.3
ask ls dir
like "$answer" new "so is a new name"
is "$(count '^event .* new$')" 0 "inotify is silent without the module"
finish plain

begin module
ok "inotify tells of the host's changes" await_events begun
timed CREATE made touch share/dir/made
timed MODIFY made put content share/dir/made
ask cat dir/made
is "$answer" content "what is read after the event is new"
timed CLOSE_WRITE,CLOSE made put more share/dir/made
timed ATTRIB made chmod 600 share/dir/made
timed MOVED_TO renamed mv share/dir/made share/dir/renamed
is "$(count '^event MOVED_FROM made$')" 1 "both halves of a rename are told"
had '^half to renamed' || await '^half to renamed'
like "$(printf '%s\n' "${heard[@]}" | sed -n 's/^half //p' | paste -sd' ')" '^from made ([1-9][0-9]*) to renamed ([0-9]+)$' "with a cookie"
is "${BASH_REMATCH[1]:-}" "${BASH_REMATCH[2]:-none}" "the same one"
timed DELETE renamed rm share/dir/renamed
timed CREATE,ISDIR folder mkdir share/dir/folder
ask cat dir/file
timed MODIFY file put_noted three share/dir/file
ask cat dir/file
is "$answer" three "what was read before is read anew"
is "$(stat -c '%y %z' share/dir/file)" "$stamps" "nothing touched the file for that"

timed MODIFY alone put two share/apart/deep/file
ask drop
timed CREATE late touch share/dir/late
timed ATTRIB late chmod 600 share/dir/late
timed MODIFY alone put three share/apart/deep/file
ask drop
timed DELETE late rm share/dir/late
ask cat apart/deep/file
is "$answer" three "a file that alone is watched is read anew"

# 100 ms, which an emulated guest on a busy machine may miss: there the host's own inotifywait is slow, too.
mkfifo here
inotifywait -m -e create --format 'event %e %f' share/apart 2>&1 >here </dev/null | head -n 2 >established &
exec 9<here
wait_for 20 grep -q established established
own_times=()
for i in 1 2 3 4 5; do
	began=${EPOCHREALTIME/./}
	touch "share/apart/$i"
	read -t $((20 * slowness)) -r line <&9
	own_times+=($(((${EPOCHREALTIME/./} - began) / 1000)))
done
pkill -P $$ inotifywait
limit=$((5 * $(median "${own_times[@]}")))
took=$(median "${times[@]}")
ok "half of the changes are told within 100 ms: ${times[*]}, the host's own ${own_times[*]}" test "$took" -le $((limit < 100 ? 100 : limit))

heard=()
ask own
put x share/dir/after
await '^event CREATE after$'
is "$(count '^event CREATE own$')" 3 "what the guest makes is told once"
is "$(count '^event MOVED_TO own2$')" 3 "what it renames, too"
is "$(count '^event DELETE own2$')" 3 "and what it removes"

# 10,000 writes to 100 files, more than any queue on the way holds.
ask sum
python3 - <<'END'
for turn in range(100):
    for i in range(100):
        with open(f"share/many/{i}", "w") as file:
            print(turn, i, file=file)
END
sleep 1.2 # what a cache may keep at the longest
ask sum
is "$answer" "$(cat share/many/* | sha256sum)" "the last state of a burst is seen"
finish module
