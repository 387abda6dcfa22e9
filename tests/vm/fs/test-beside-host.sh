#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A share that the host uses, too, in a guest without tools. As shares are by default, what the host has closed is what the
# guest opens. With device.shares-locks=host and device.shares-cache=never locks of each side hold against the other, and each
# change is seen at once. Files are opened by message then, and the calls for which that matters conform. In the end the
# monitor is killed at work: what the guest was told is on the disk is there, whole, and nothing is left behind.
# TIMEOUT: 120
# NEEDS: python3 fincore
# shellcheck source=tests/vm/lib.sh
. "$LIB"

mkdir work
echo 00 >work/f
cp work/f work/early
# Expressions, one a line; what each gave, or the error's name. The same program on both sides.
cat >agent.py <<'END'
import errno, fcntl, os, subprocess, sys, time
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN

files = {}

def name(call):
    try:
        return call()
    except OSError as error:
        return errno.errorcode[error.errno]

# It stays open.
def fd(path):
    if path not in files:
        files[path] = os.open(path, os.O_RDWR | os.O_CREAT)
    return files[path]

def flock(path, how):
    fcntl.flock(fd(path), how | LOCK_NB)

# POSIX', of ten bytes
def lock(path, how, at):
    fcntl.lockf(fd(path), how | LOCK_NB, 10, at)

def read(path):
    return os.pread(fd(path), 2, 0).decode()

def write(path, text):
    os.pwrite(fd(path), text.encode(), 0)

def content(path):
    with open(path) as file:
        return file.read().strip()

def close(path):
    os.close(files.pop(path))

# A program that waits for a lock, and what becomes of it.
def begin(call):
    global waits
    waits = os.fork()
    if waits == 0:
        call()
        os._exit(7)

def ended():
    pid, status = os.waitpid(waits, os.WNOHANG)
    return os.WEXITSTATUS(status) if pid else "waits"

# Files of a size that no page has, one after the other; says each number once the disk has the file.
def work():
    n = 0
    while True:
        out = os.open(f"w{n}", os.O_WRONLY | os.O_CREAT)
        os.write(out, b"%08d" % n * 1234)
        os.fsync(out)
        os.close(out)
        print("acknowledged", n, flush=True)
        n += 1

os.chdir(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    print("answer", name(lambda: eval(line)), flush=True)
END

mkfifo guest.orders guest.said host.orders host.said
exec 5<>guest.orders 6<>guest.said 7<>host.orders 8<>host.said

# says SIDE EXPRESSION WANTED DESCRIPTION
says() {
	local to=5 from=6 line=none
	[ "$1" = guest ] || to=7 from=8
	echo "$2" >&$to
	until [[ $line = answer* ]]; do
		read -t $((60 * slowness)) -r line <&$from || break
	done
	is "${line#answer }" "$3" "$4 ($1)"
}

# Without tools, who would tell the guest's kernel of changes.
no_tools=(--set backdoor.device=no --set backdoor.port=no --set backdoor.ports=off)
# guest_works OPTION...
guest_works() {
	lodge run --memory 384M "${no_tools[@]}" "$@" --share work=work -- python3 "$PWD/agent.py" /mnt/lodge/work \
		<guest.orders >guest.said 2>err &
	run=$!
}
python3 "$PWD/agent.py" work <host.orders >host.said 2>host.err &
host=$!

# ---- close-to-open ----

# Long ago: nothing tells the server that these change often.
mkdir work/old
echo 00 >work/old/f
ln -s f work/old/link
echo 00 >work/old/other
touch -d '2 days ago' work/old/*
guest_works
for i in 1 2 3; do
	says guest 'content("old/f"), content("old/link")' "('0$((i - 1))', '0$((i - 1))')" "what was there"
	says host "write('old/f', '0$i') or close('old/f')" None "writes as much, and closes"
	says guest 'content("old/f")' "0$i" "what is opened then has it"
	says guest 'subprocess.getoutput("fincore -n -o PAGES old/f").strip()' 1 "and what was read is kept"
	says host "os.truncate('old/f', 1)" None "cuts it short"
	says guest 'content("old/f"), os.stat("old/f").st_size' "('0', 1)" "and that is seen"
	says host "write('old/f', '0$i\n33\n') or close('old/f')" None "writes more"
	says guest 'content("old/f"), os.stat("old/f").st_size' "('0$i\\n33', 6)" "and so is that"
	says host 'os.rename("old/other", "old/kept") or os.unlink("old/link") or os.symlink("kept", "old/link")' None "another link"
	says guest 'content("old/link"), name(lambda: os.stat("old/other"))' "('00', 'ENOENT')" "leads there, and the name that went is gone"
	says host 'os.rename("old/kept", "old/other") or os.unlink("old/link") or os.symlink("f", "old/link")' None "and back"
	says host "os.truncate('old/f', 2)" None "as it was"
done

# ---- attributes of the host's root, who is also its server's user here ----

says host 'os.setxattr("old/f", "trusted.secret", b"s")' None "trusted.*"
says guest 'name(lambda: os.getxattr("old/f", "trusted.secret")), os.listxattr("old/f")' "('ENODATA', [])" "is not there"
says guest 'os.setxattr("old/f", "trusted.mine", b"m")' EPERM "cannot be made"
says guest 'os.removexattr("old/f", "trusted.secret")' EPERM "or removed"
says host 'os.getxattr("old/f", "trusted.secret")' "b's'" "it is as it was"

echo 'os._exit(0)' >&5
wait "$run"
rm -r work/old

guest_works --set device.shares-locks=host --set device.shares-cache=never

# ---- locks ----

says guest 'flock("f", LOCK_EX)' None "flock"
says host 'flock("f", LOCK_SH)' EAGAIN "holds against the other side"
says guest 'flock("f", LOCK_SH)' None "a weaker one"
says host 'flock("f", LOCK_SH)' None "goes with its like"
says host 'flock("f", LOCK_EX)' EAGAIN "and with no other"
says guest 'close("f")' None "close"
says host 'flock("f", LOCK_EX)' None "lets it go"
says guest 'flock("f", LOCK_SH)' EAGAIN "the other way round"
says host 'close("f")' None "close"
says guest 'lock("f", LOCK_EX, 0)' None "a lock of some bytes"
says host 'lock("f", LOCK_SH, 5)' EAGAIN "holds against the other side"
says host 'lock("f", LOCK_EX, 10)' None "for these bytes alone"
says guest 'lock("f", LOCK_SH, 15)' EAGAIN "the other way round"
says guest 'os.close(os.open("f", os.O_RDONLY))' None "POSIX: any close"
says host 'lock("f", LOCK_EX, 0)' None "lets all of them go"
says guest 'begin(lambda: fcntl.lockf(fd("f"), LOCK_EX, 10, 0)) or time.sleep(0.3) or ended()' waits "a program waits for what the other side has"
says host 'close("f")' None "close"
says guest 'os.waitstatus_to_exitcode(os.waitpid(waits, 0)[1])' 7 "and gets it"
says host 'lock("f", LOCK_EX, 0)' None "and its end lets it go"

# ---- changes ----

says guest 'content("early"), os.stat("early").st_size, read("f")' "('00', 3, '00')" "what is there"
for i in 1 2 3; do
	says host "write('f', '1$i')" None "writes"
	says guest 'read("f")' "1$i" "an open file is read anew"
	says host "os.rename('early', 'new') or write('new', '2$i')" None "renames and writes"
	says guest 'name(lambda: os.stat("early")), content("new")' "('ENOENT', '2$i')" "both names are right at once"
	says host 'os.rename("new", "early") or os.truncate("early", 2) or os.chmod("early", 0o6'"$i"'0)' None "the name goes back, shorter"
	says guest 'sorted(os.listdir(".")), oct(os.stat("early").st_mode), os.stat("early").st_size' "(['early', 'f'], '0o1006${i}0', 2)" \
		"the listing is right, and the attributes"
	says host 'os.close(os.open("early", os.O_WRONLY | os.O_APPEND | os.O_TRUNC)) or write("early", "33\n")' None "the size changes"
	says guest 'os.stat("early").st_size' 3 "and is seen"
	says host 'close("new")' None "close"
done

# ---- what else OPEN by message is good for ----

cases='append truncate unlinked-open mode-while-open mapped copy-file-range tmpfile locks busy-programs renames seek-folder'
says guest "subprocess.run(['$BUILD/guest/fs-conform', '.'] + '$cases'.split(), stdout=sys.stderr).returncode" 0 "file system calls conform"

# ---- the monitor's death ----

says guest 'flock("f", LOCK_EX)' None "flock"
says host 'flock("f", LOCK_EX)' EAGAIN "holds"
monitor=$(pgrep -x lodge-vmm -P "$run")
echo 'work()' >&5
last=-1
while [ "$last" -lt 25 ] && read -t $((30 * slowness)) -r word last <&6; do :; done
kill -9 "$monitor"
wait "$run"
# What it said before its end.
while read -t 0.5 -r word n <&6; do
	[[ $word = acknowledged && $n -gt $last ]] && last=$n
done
ok "the guest was at work" test "$last" -ge 25
nobody() {
	! pgrep -f "lodge-fsd .*share=work=$PWD" >/dev/null && [ "$(find /proc/[0-9]*/fd -lname "$PWD/work/f" 2>/dev/null | wc -l)" = 1 ]
}
ok "no process of a file server is left" wait_for 10 nobody
says host 'flock("f", LOCK_EX)' None "nor a lock"
says host "[n for n in range($last + 1) if content(f'w{n}') != '%08d' % n * 1234]" '[]' "each file of which the guest was told is there, whole"
says host "[n for n in os.listdir('.') if n[0] == 'w' and not ('%08d' % int(n[1:]) * 1234).startswith(content(n))]" '[]' "and no other is wrong"
echo 'os._exit(0)' >&7
wait "$host"
[ "$failures" = 0 ] || sed 's/^/#   /' err host.err
