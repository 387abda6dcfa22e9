# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: GPL-2.0-or-later
# What scenarios of whole guests share: `. "$LIB"` on top (after `# shellcheck source=tests/vm/lib.sh`), checks below, nothing at the end. A check
# prints a TAP line; the scenario passes when all did. tests/vm/run gives: $BUILD, $WORK (an empty
# folder, also the current one), a $HOME and a $XDG_RUNTIME_DIR of its own, $RESULTS for keep(), and a time limit from the line
# `# TIMEOUT: seconds` on top. Other such lines: `# USER: ordinary` to run without root, `# NEEDS: command...`
# to be skipped where one is missing. Whatever runs on after the end is killed and fails the scenario.

set -u
# The distribution's programs before a person's own: a shim in front of python3 costs an emulated processor 8 s.
export PATH=$BUILD/bin:$BUILD/guest:/usr/sbin:/usr/bin:/sbin:/bin:$PATH
checks=0
failures=0

# The kernel of guests that have this machine's: in the lab it can be another than the lab's own.
guest_version=${GUEST_VERSION:-$(uname -r)}

# How many times the time that its head allows it the scenario has: whoever says more expects slow guests.
slowness=${SLOWNESS:-1}

out='' err='' status=0

# For a guest's shell: ends the lodged that comes with an instant VM. The command may be there before it.
# shellcheck disable=SC2016
end_lodged='until pkill -x lodged; do sleep 0.1; done; while pidof lodged >/dev/null; do sleep 0.1; done'

trap 'end_scenario $?' EXIT

end_scenario() {
	local code=$1
	trap - EXIT
	[ "$code" = 0 ] || {
		echo "not ok - the scenario ended early, with status $code"
		failures=$((failures + 1))
	}
	echo "1..$checks"
	# A bare `exit` in a trap would give the status from before the trap.
	[ "$failures" = 0 ] && [ "$checks" -gt 0 ] && exit 0
	exit 1
}

pass() {
	checks=$((checks + 1))
	echo "ok $checks - $*"
}

# fail DESCRIPTION [DETAIL...]
fail() {
	checks=$((checks + 1))
	failures=$((failures + 1))
	echo "not ok $checks - $1"
	shift
	[ $# = 0 ] || printf '%s\n' "$@" | sed 's/^/#   /'
}

# skip REASON: ends the scenario, as passed.
skip() {
	echo "ok 1 # SKIP $*"
	trap - EXIT
	exit 0
}

# ok DESCRIPTION COMMAND...: passes when COMMAND succeeds.
ok() {
	local description=$1 said code
	shift
	said=$("$@" 2>&1) && { pass "$description"; return 0; }
	code=$?
	fail "$description" "exit status $code of: $*" "$said"
	return 0
}

# is GOT WANTED DESCRIPTION
is() {
	if [ "$1" = "$2" ]; then
		pass "$3"
	else
		fail "$3" "got:    $1" "wanted: $2"
	fi
}

# like GOT REGEX DESCRIPTION
like() {
	if [[ $1 =~ $2 ]]; then
		pass "$3"
	else
		fail "$3" "got:     $1" "no match: $2"
	fi
}

# keep FILE NAME: FILE is a result of this scenario, $RESULTS/WORD/NAME, for people to look at.
keep() {
	local folder
	folder=$RESULTS/$(basename "$(dirname "$0")")
	[ ! -w "$folder" ] || cp -f "$1" "$folder/$2"
}

# run COMMAND...: sets $out, $err and $status.
run() {
	status=0
	"$@" >"$WORK/.out" 2>"$WORK/.err" </dev/null || status=$?
	out=$(tr -d '\0' <"$WORK/.out")
	err=$(tr -d '\0' <"$WORK/.err")
}

# refuses DESCRIPTION REGEX COMMAND...: COMMAND fails at once, with one line on stderr that matches.
refuses() {
	local description=$1 regex=$2
	shift 2
	run timeout 20 "$@"
	if [ "$status" = 0 ] || [ "$status" -ge 124 ]; then
		fail "$description" "exit status $status of: $*" "$err"
	elif [ "$(wc -l <"$WORK/.err")" != 1 ]; then
		fail "$description" "not one line on stderr, of: $*" "$err"
	else
		like "$err" "$regex" "$description"
	fi
}

# wait_for SECONDS COMMAND...: asks COMMAND until it succeeds; false when the time, $slowness times that, is over. In
# between it waits at a FIFO that nobody writes to: to start sleep(1) would cost an emulated processor as much again.
wait_for() {
	local end=$((SECONDS + $1 * slowness))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		[ -p "$WORK/../idle" ] || { sleep 0.1; continue; }
		read -t 0.1 -r _ <>"$WORK/../idle"
	done
	return 0
}

# guest [OPTION... --] COMMAND...: `lodge run` with little memory; sets $out, $err and $status.
guest() {
	local options=()
	while [[ $1 = --* ]]; do
		[ "$1" = -- ] && { shift; break; }
		options+=("$1" "$2")
		shift 2
	done
	run lodge run --memory 384M "${options[@]}" -- "$@"
}

# What a guest prints (stdin) as "ok - ..." and "not ok - ..." are checks of this scenario.
relay_checks() {
	local line
	while IFS= read -r line; do
		case $line in
		'ok - '*) pass "${line#ok - }" ;;
		'not ok - '*) fail "${line#not ok - }" ;;
		*) echo "# $line" ;;
		esac
	done
}

# The run-time files of VMs. The user's monitors share one more, which none of them may take away from the next.
left_at_run_time() {
	find "$XDG_RUNTIME_DIR" -mindepth 2 ! -name .memory
}

# create_host_vm NAME [OPTION of lodge create]...: a VM that stays, with this host's root, kernel and tools: the
# initramfs is the one that lodge run makes.
create_host_vm() {
	local name=$1 folder=$XDG_RUNTIME_DIR/lodge/maker/vm maker ports port
	shift
	lodge run --name maker --memory 384M -- sleep 1000 >maker.log 2>&1 &
	maker=$!
	ok "an instant VM runs" wait_for 60 lodge info maker
	cp "$folder/initrd" initrd
	ports=$(sed -n 's/^\[port \(.*\)\]/\1/p' "$folder/vm.conf")
	lodge kill maker >/dev/null
	wait $maker
	ok "create" lodge create --memory 384M --initrd "$PWD/initrd" --append 'console=ttyS0 panic=-1 quiet' \
		"$@" "$name"
	# At a port that its host has not opened the guest's init waits for 3 s.
	{
		printf '\n[root]\npath=/\n'
		for port in $ports; do
			printf '\n[port %s]\nbackend=file:ports.log\n' "$port"
		done
	} >>"$HOME/.local/share/lodge/$name/vm.conf"
}
