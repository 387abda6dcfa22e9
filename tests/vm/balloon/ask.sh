# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
# What scenarios of a guest's memory share: questions to a monitor, its resident memory, and a guest that does what
# it is told. Source it behind lib.sh, with $name set to the VM's.

socket=$XDG_RUNTIME_DIR/lodge/$name/control.sock

cat >ask.py <<'END'
"""Asks a monitor. ask.py SOCKET get METHOD MEMBER...: prints a member of the answer's result.
ask.py SOCKET until SECONDS METHOD LEAST MOST MEMBER...: waits until a number is within these.
ask.py SOCKET refused METHOD: prints which of the parameters on stdin, a line each, are taken."""
import json, socket, sys, time
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
answers = connection.makefile()


def ask(method, params):
    connection.sendall(json.dumps({"id": 1, "method": method, "params": params}).encode() + b"\n")
    return json.loads(answers.readline())


def member(method, path):
    value = ask(method, {})["result"]
    for key in path:
        value = value.get(key, -1) if value != -1 else -1
    return value


what, rest = sys.argv[2], sys.argv[3:]
if what == "get":
    print(member(rest[0], rest[1:]))
elif what == "until":
    end = time.monotonic() + float(rest[0])
    while not int(rest[2]) <= member(rest[1], rest[4:]) <= int(rest[3]):
        if time.monotonic() > end:
            sys.exit("it is %s" % member(rest[1], rest[4:]))
        time.sleep(0.3)
else:
    for line in sys.stdin:
        if "error" not in ask(rest[0], json.loads(line)):
            print(line)
END

ask() {
	python3 ask.py "$socket" "$@"
}

# until_mib SECONDS LEAST MOST MEMBER...: waits for a figure of `memory`, in MiB
until_mib() {
	ask until "$1" memory $(($2 << 20)) $(($3 << 20)) "${@:4}"
}

memory_is() {
	[ "$(ask get memory "$1" 2>/dev/null)" = "$2" ]
}

# Resident shared memory of the monitor, MiB: the guest's.
resident() {
	awk '/^RssShmem:/ { print int($2 / 1024) }' "/proc/$(ask get status pid)/status"
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
