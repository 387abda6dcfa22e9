#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Files mapped into the guest: both sides see the same bytes, a file larger than the window goes through it,
# a file that the host cuts off ends the program that touches it and nothing else, one that it replaces stays, a read-only share stays so,
# and the VM lives on when its file server is killed with mappings in use.
# TIMEOUT: 300
# NEEDS: python3
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/fs/servers.sh
. "$TOP/tests/vm/fs/servers.sh"

mkdir work fixed
head -c 24M /dev/urandom >work/big
head -c 4M /dev/urandom >work/both
head -c 5M /dev/urandom >work/cut
head -c 3M /dev/urandom >fixed/data
echo small >work/small

# Each step says what it saw and waits for the host's word on its standard input.
cat >work/steps.py <<'END'
import hashlib, mmap, os, sys, time

work, fixed = "/mnt/lodge/work/", "/mnt/lodge/fixed/"

def say(*words):
    print("guest:", *words, flush=True)

def wait():
    return sys.stdin.readline()

def mapped(path, write=False):
    fd = os.open(path, os.O_RDWR if write else os.O_RDONLY)
    try:
        return mmap.mmap(fd, 0, prot=mmap.PROT_READ | (mmap.PROT_WRITE if write else 0))
    finally:
        os.close(fd)

def digest(data):
    return hashlib.md5(data).hexdigest()

def new_size(name, old):
    end = time.monotonic() + 5  # attributes are good for a second at most
    while os.stat(work + name).st_size == old and time.monotonic() < end:
        time.sleep(0.05)
    return os.stat(work + name).st_size

def child(touch):
    pid = os.fork()
    if pid == 0:
        touch()
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "nothing"

big = mapped(work + "big")
say("big", digest(big))
say("big again", digest(big))
say("by read", digest(open(work + "big", "rb").read()))
say("small", open(work + "small").read().strip(), digest(mapped(work + "small")))
data = mapped(fixed + "data")
say("data", digest(data))
wait()

both = mapped(work + "both", write=True)
both[0:5] = b"guest"
both[3000000:3000005] = b"guest"
fd = os.open(work + "both", os.O_RDWR)
os.pwrite(fd, b"wrote", 1000000)
os.pwrite(fd, b"more" * 250000, 4 << 20)
# From one mapped file to the end of another: the request's buffer lies in the window.
os.lseek(fd, 0, os.SEEK_END)
os.write(fd, memoryview(big)[0:1 << 20])
say("both", digest(open(work + "both", "rb").read()))
wait()
say("from the host", bytes(both[2000000:2000004]).decode())

both[::4096]
say("touches")
wait()
for i in range(100):
    both[::4096]
say("touched")
wait()

# Pages that are dirty already, on a file system that does not look at stores: KVM knows of them.
def changed(store):
    before = os.fstat(fd).st_mtime_ns
    store()
    return os.fstat(fd).st_mtime_ns > before

def store():
    both[3000000:3000005] = b"guest"

say("times", changed(lambda: os.pwrite(fd, b"wrote", 1000000)), changed(store), changed(lambda: None))
store()
os.utime(work + "both", (1000, 1000))
say("set times", int(os.stat(work + "both").st_mtime), changed(lambda: None), changed(store))
wait()
store()
wait()

try:
    mapped(fixed + "data", write=True)
    say("the read-only share can be written to")
except OSError as error:
    say("read-only:", error.strerror)

cut = mapped(work + "cut", write=True)
before = bytes(cut[4000000:4000004])
wait()
say("cut", bytes(cut[0:4]) + bytes(cut[1000:1004]) + bytes(cut[4000000:4000004]))
cut[3000000] = 1
say("size", new_size("cut", 5 << 20))
say("beyond its end:", child(lambda: cut[4000000]))
wait()
say("size", new_size("cut", 100), digest(cut))
inode = os.stat(work + "cut").st_ino
wait()
end = time.monotonic() + 5
while os.stat(work + "cut").st_ino == inode and time.monotonic() < end:
    time.sleep(0.05)
say("replaced", digest(open(work + "cut", "rb").read()), digest(cut))

for step in range(2):
    right = digest(both)
    say("busy", step)
    wait()
    say("still", step, child(lambda: digest(both) == right or os.abort()))
    child(lambda: [big[at] for at in range(0, 24 << 20, 4096)])
    say("alive", step)
END

mkfifo typed
exec 5<>typed
# Without tools, which would tell the guest's kernel of what the host does before the guest touches it, and use the
# mount that is to go.
no_tools=(--set backdoor.device=no --set backdoor.port=no --set backdoor.ports=off)
lodge run --memory 512M --set device.dax-size=8M --set device.dax-files=all "${no_tools[@]}" --share work="$WORK/work" --share fixed="$WORK/fixed:ro" \
	-- python3 /mnt/lodge/work/steps.py <typed >told 2>log &
run=$!

said() {
	tr -d '\r\0' <told | grep -qE "^guest: $1\$"
}

digest() {
	md5sum <"$1" | cut -d' ' -f1
}

monitor() {
	pgrep -x lodge-vmm -P "$run"
}

ok "a guest reads a file by mapping it" wait_for 100 said "big $(digest work/big)"
ok "it reads the second share" wait_for 60 said "data $(digest fixed/data)"
ok "again, though the file is larger than the window" said "big again $(digest work/big)"
ok "by reading it" said "by read $(digest work/big)"
ok "a small file, too" said "small small $(digest work/small)"

# mapped FILE: how many bytes of it are in the monitor's window. The file server's paths are not ours.
mapped() {
	local inode from to size=0
	inode=$(stat -c %i "$1")
	while read -r from to; do
		size=$((size + 0x$to - 0x$from))
	done < <(awk -v inode="$inode" '$5 == inode { sub("-", " ", $1); print $1 }' "/proc/$(monitor)/maps")
	echo "$size"
}
ok "the second share's pages are in the guest's window" test "$(mapped fixed/data)" -gt 0
is "$(mapped work/small)" 0 "a small file is not mapped"
ok "and not more than fits" test $(($(mapped work/big) + $(mapped fixed/data))) -le $((8 << 20))
echo go >&5

ok "it writes by mapping and by writing" wait_for 60 said "both [0-9a-f]*"
ok "the host has what it wrote" said "both $(digest work/both)"
ok "also from one mapped file to another" cmp <(tail -c 1M work/both) <(head -c 1M work/big)
is "$(dd if=work/both bs=1 skip=3000000 count=5 status=none)" guest "stores reach the host's file"
is "$(dd if=work/both bs=1 skip=1000000 count=5 status=none)" wrote "so do writes into a mapped file"
printf host | dd of=work/both bs=1 seek=2000000 conv=notrunc status=none
echo go >&5
ok "what the host writes is there at once" wait_for 60 said "from the host host"
exits() {
	cat /sys/kernel/debug/kvm/"$(monitor)"-*/exits 2>/dev/null
}
ok "it has all pages of a file" wait_for 30 said touches
before=$(exits)
echo go >&5
ok "and reads each of them 100 times" wait_for 30 said touched
after=$(exits)
[ -z "$after" ] || ok "which takes it no exit" test $((after - before)) -lt 20000
echo "# $((after - before)) exits meanwhile, for 102,400 reads"
echo go >&5
ok "what it stores and writes once more changes the file's time" wait_for 60 said "times True True False"
ok "a time that was set stays until then" wait_for 60 said "set times 1000 False True"
touch -d @1000 work/both
echo go >&5
newer() {
	[ "$(stat -c %Y work/both)" -gt 1000 ]
}
ok "the host sees that, too, though nobody asks" wait_for 10 newer
echo go >&5
ok "a read-only share is not to be mapped for writing" wait_for 30 said "read-only: (Permission denied|Read-only file system)"

truncate -s 100 work/cut
echo go >&5
ok "zeroes where the host cut the file off, and the guest goes on" wait_for 60 said "size 100"
like "$(cat told)" "guest: cut b'.*\\\\x00\\\\x00\\\\x00\\\\x00\\\\x00\\\\x00\\\\x00\\\\x00'" "what is left is there, the rest reads as zeroes"
ok "SIGBUS once the guest knows" wait_for 30 said "beyond its end: signal 7"
head -c 5M /dev/urandom >work/new
cat work/new >work/cut
echo go >&5
ok "the file, written anew, is seen through the old mapping" wait_for 60 said "size $((5 << 20)) $(digest work/new)"
head -c 5M /dev/urandom >work/newer
mv work/newer work/cut
echo go >&5
ok "another in its place is that by its name, and the mapping's is the old one" wait_for 60 said "replaced $(digest work/cut) $(digest work/new)"

ok "at work on a mapping" wait_for 30 said "busy 0"
vm=$run
kill -9 "$(servers --share=)"
echo go >&5
ok "the guest goes on though its file server died under a mapping" wait_for 60 said "alive 0"
ok "at work on it again" wait_for 30 said "busy 1"
# And those that keep what the other had: the session is over, the window empty.
# shellcheck disable=SC2046 # three words
kill -9 $(with_guard "$(servers --share=)")
echo go >&5
ok "and when nothing of it is left" wait_for 60 said "alive 1"
ok "what was mapped is the file still" said "still 0 nothing"
ok "or, when nothing of the server is left, out of reach" said "still 1 (nothing|signal 7)"
exec 5>&-
code=0
wait "$run" || code=$?
is "$code" 0 "the guest ends by itself"
is "$(grep -c 'KVM_RUN' log)" 0 "KVM had nothing to complain of"

# As it comes, and with every file in the window, new and small ones, too. Of a file that is mapped for writing
# already Linux leaves the privilege bits, and its times differ on tmpfs (protocol/spec/fs.md).
# shellcheck disable=SC2016 # for the guest
guest --set device.dax-files=all "${no_tools[@]}" --share work="$WORK/work" -- sh -c 'PATH=$PATH:'"$BUILD"'/guest; fs-conform -n 100 /mnt/lodge/work && cd / && umount /mnt/lodge &&
	mkdir -p /tmp/all && mount -t virtiofs -o dax=always lodge /tmp/all && echo all && fs-conform -n 100 /tmp/all/work'
ok "file system calls conform" grep -q "^all" <<<"$out"
cases() {
	grep -cE '^(not )?ok '
}
is "$(sed -n '1,/^all/p' <<<"$out" | cases)" "$(sed -n '/^all/,$p' <<<"$out" | cases)" "with every file mapped it is the same cases"
is "$(sed -n 's/^not ok [0-9]* //p' <<<"$out" | grep -vxE 'privilege-bits|bits-go|stamps-of-files')" "" "and they conform, but perhaps for those bits and times"
[ "$failures" = 0 ] || sed 's/^/#   /' told log
