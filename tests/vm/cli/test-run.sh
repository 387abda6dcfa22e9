#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lodge run, as an ordinary user: streams, statuses, shares, the terminal, and that nothing stays.
# TIMEOUT: 400
# USER: ordinary
# NEEDS: lodge script
# shellcheck source=tests/vm/lib.sh
. "$LIB"

mkdir data sealed
echo 'from the host' >data/file
echo secret >sealed/file

cat >job.sh <<'END'
cat
echo "args: $1|$2|"
echo "env: $X"
[ $(($(date +%s) - NOW)) -lt 300 ] && [ ! -e /sys/class/rtc/rtc0 ] && echo "clock is right"
id -u
hostname
ls /mnt/lodge
cat /mnt/lodge/data/file
echo 'from the guest' >/mnt/lodge/data/answer
touch /mnt/lodge/sealed/x 2>/dev/null && echo 'sealed share was written'
touch /usr/scratch && echo 'root takes writes'
echo 'to stderr' >/dev/stderr
exit 7
END
printf 'a\0b\nlast line without an end' >input
status=0
lodge run --name testrun --memory 384M --env X='a b' --env NOW="$(date +%s)" --share data=data --share sealed=sealed:ro -- \
	sh "$PWD/job.sh" 'one  two' '' <input >out 2>err || status=$?
is "$status" 7 "the command's exit status comes back"
is "$(head -c 28 out | od -An -c)" "$(od -An -c input)" "input is handed on as it is"
out=$(tr -d '\0' <out)
like "$out" "args: one  two||" "arguments keep their spaces, empty ones too"
like "$out" "env: a b" "--env"
like "$out" $'\n0\ntestrun\ndata\nsealed\n' "root, the VM's name, the shares"
like "$out" "from the host" "a share's file is read"
is "$(cat data/answer)" "from the guest" "and one is written"
is "$(ls sealed)" file "a read-only share stays as it is"
like "$out" "root takes writes" "the root is writable"
like "$out" "clock is right" "the clock is the host's, without a real-time clock"
ok "which the host does not see" test ! -e /usr/scratch
is "$(stat -c '%a %U' "$XDG_CACHE_HOME"/lodge/kernels/*)" "600 $(id -un)" "the unpacked kernel is kept, for its user alone"
is "$(cat err)" "to stderr" "standard error is apart"

status=0
lodge run --memory 384M -- sh -c 'head -c 3000000 /dev/zero | tr "\0" x; kill -9 $$' </dev/null >big 2>err ||
	status=$?
is "$status" 137 "death by signal 9 is status 137"
is "$(stat -c %s big)" 3000000 "all of the output comes, though the guest is down at once"

run lodge run --memory 384M -- no-such-command
is "$status" 127 "a command that is not there: 127"
like "$err" "cannot run no-such-command" "which is told"

run lodge run --memory 384M --user nobody -- id -un
is "$out" nobody "--user"

status=0
TERM=dumb script -qec "stty rows 33 cols 77; lodge run --memory 384M -- sh -c 'stty size; tty; exit 3'" \
	typescript </dev/null >/dev/null 2>&1 || status=$?
is "$status" 3 "status on a terminal"
like "$(tr -d '\r' <typescript)" "33 77" "its size"
like "$(tr -d '\r' <typescript)" /dev/hvc0 "the guest's terminal"

(exec lodge run --name box --memory 384M -- sleep 1000 >/dev/null 2>box.err </dev/null) &
ok "a named VM is listed" wait_for 60 sh -c 'lodge list | grep -q "^box .*running"'
refuses "its name is taken" "a VM named 'box' runs already" lodge run --name box -- true
refuses "it cannot be deleted" "box runs" lodge delete --yes box
like "$(lodge info box)" "virtio-console" "info names its devices"
ok "stop" lodge stop box
wait $!
is $? 143 "the power button ends the command"

(exec lodge run --name box --memory 384M -- sleep 1000 >/dev/null 2>box.err </dev/null) &
ok "again" wait_for 60 sh -c 'lodge list | grep -q "^box .*running"'
ok "kill" lodge kill box
wait $!
is $? 125 "a killed guest has no status"
like "$(cat box.err)" "was killed" "which is told"

(exec lodge run --name box --memory 384M -- sleep 1000 >/dev/null 2>box.err </dev/null) &
pid=$!
ok "and again" wait_for 60 sh -c 'lodge list | grep -q "^box .*running"'
kill -INT "$pid"
wait "$pid"
is $? 130 "Ctrl-C ends it with status 130"

is "$(left_at_run_time)" "" "no run-time files are left"
