#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What goes wrong on the host is the right error in the guest: a disk that is full or becomes read-only, a quota that
# is used up, a share's folder that is deleted or replaced by a link. And all is well again when it is on the host.
# TIMEOUT: 150
# NEEDS: python3 mkfs.ext4
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/fs/servers.sh
. "$TOP/tests/vm/fs/servers.sh"

# Expressions of the host's, one a line; what each gave, or the error's name.
cat >agent.py <<'END'
import errno, mmap, os, shutil, sys, time

def name(call):
    try:
        return call()
    except OSError as error:
        return errno.errorcode[error.errno]

def create(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))

def write(path, data=b"x", flags=0):
    fd = os.open(path, os.O_WRONLY | flags)
    try:
        return os.write(fd, data)
    finally:
        os.close(fd)

def fill(path):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(fd, bytes(1 << 20))
    finally:
        os.close(fd)

def allocate(path, size):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        os.posix_fallocate(fd, 0, size)
    finally:
        os.close(fd)

# Stores into a file of holes; what msync says of them, and fsync when all errors have been told.
def store(path, size):
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        os.ftruncate(fd, size)
        with mmap.mmap(fd, size) as data:
            for at in range(0, size, 4096):
                data[at] = 1
            return name(data.flush), [name(lambda: os.fsync(fd)) for i in range(4)][3]
    finally:
        os.close(fd)

# The same by a child, which may not survive it.
def child_stores(path, size):
    pid = os.fork()
    if pid == 0:
        os._exit(store(path, size) != (None, None))
    status = os.waitpid(pid, 0)[1]
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"

# Names are good for a second at most, and what has none goes when the guest's kernel has said that it forgets it.
def soon(call):
    end = time.monotonic() + 5
    while time.monotonic() < end:
        said = name(call)
        if said not in errno.errorcode.values():
            break
        time.sleep(0.1)
    return said

# A child that waits for an answer, and what becomes of it.
def start(call):
    pid = os.fork()
    if pid == 0:
        os._exit(name(call) is not None)
    return pid

# As many files as there may be.
def create_all(path):
    for i in range(10000):
        create(path + str(i))

os.chdir("/mnt/lodge")
print("ready", flush=True)
for line in sys.stdin:
    print("answer", name(lambda: eval(line)), flush=True)
END

mkfifo orders said
exec 7<>orders 8<>said

await() {
	while read -t 60 -r line <&8; do
		[[ $line = "$1"* ]] && return
	done
	line="$1 none"
	return 1
}

# says EXPRESSION WANTED DESCRIPTION
says() {
	echo "$1" >&7
	await answer
	is "${line#answer }" "$2" "$3"
}

# begin SHARE=FOLDER OPTION...
begin() {
	lodge run --memory 384M --share "$@" -- python3 "$PWD/agent.py" <orders >said 2>>err &
	guest_pid=$!
	ok "a guest runs" await ready
}

finish() {
	echo 'os._exit(0)' >&7
	wait "$guest_pid"
	is $? 0 "the guest ends well"
}

mkdir -p work/disk work/gone elsewhere
truncate -s 16M image
mkfs.ext4 -q -m 0 -N 64 -O quota,project -E quotatype=usrquota:prjquota image
modprobe -aq loop quota_v2
if ! mount -o loop,usrquota,prjquota image work/disk; then
	skip "this host mounts no image"
fi
chmod 777 work/disk
device=$(findmnt -n -o SOURCE work/disk)

# limit KIB FILES [PROJECT]: of root, whom the guest's root is on the host, or of a project
limit() {
	python3 - "$device" "$@" <<'END'
import ctypes, struct, sys
device, (blocks, files, *project) = sys.argv[1].encode(), map(int, sys.argv[2:])
libc = ctypes.CDLL(None, use_errno=True)
# Q_SETQUOTA with USRQUOTA or PRJQUOTA; a struct dqblk with QIF_BLIMITS | QIF_ILIMITS
command = 0x800008 << 8 | (2 if project else 0)
quota = struct.pack("=8QI4x", blocks, 0, 0, files, 0, 0, 0, 0, 5)
if libc.quotactl(command, device, project[0] if project else 0, quota):
    sys.exit(ctypes.get_errno())
END
}

# folder_of_project FOLDER PROJECT: what is made in it is the project's, too
folder_of_project() {
	python3 - "$1" "$2" <<'END'
import fcntl, os, struct, sys
os.mkdir(sys.argv[1])
fd = os.open(sys.argv[1], os.O_RDONLY)
# FS_IOC_FSSETXATTR; a struct fsxattr with FS_XFLAG_PROJINHERIT
fcntl.ioctl(fd, 0x401c5820, struct.pack("=5I8x", 0x200, 0, 0, int(sys.argv[2]), 0))
END
}

read_only() {
	mount -o remount,ro work/disk
}

begin work=work
says 'create("work/disk/kept") or write("work/disk/kept")' 1 "a file is made"
says 'fill("work/disk/f")' ENOSPC "write: the disk is full"
says 'os.statvfs("work/disk").f_bavail < 8' True "statfs says so, too"
says 'write("work/disk/kept", bytes(100000))' ENOSPC "another file cannot grow"
says 'allocate("work/disk/g", 1 << 20)' ENOSPC "fallocate"
says 'store("work/disk/h", 1 << 20)' "('ENOSPC', None)" "stores that were lost are told of, and not for ever"
says 'os.mkdir("work/disk/folder")' ENOSPC "mkdir"
says '[os.unlink("work/disk/" + n) for n in "fgh"]' '[None, None, None]' "unlink"
says 'soon(lambda: write("work/disk/kept", bytes(100000)))' 100000 "makes room"

ok "the host's quota is set" limit 1024 40
says 'fill("work/disk/f")' EDQUOT "write: the quota is used up"
says 'allocate("work/disk/g", 2 << 20)' EDQUOT "fallocate"
says 'create_all("work/disk/i")' EDQUOT "create: files have one, too"
says 'os.unlink("work/disk/i0") or os.unlink("work/disk/f") or soon(lambda: create("work/disk/j"))' None "unlink makes room"
ok "the host's quota is taken away" limit 0 0

ok "a folder of a project's has one" folder_of_project work/disk/project 7
ok "of the project's" limit 512 5 7
says 'soon(lambda: fill("work/disk/project/f"))' EDQUOT "write: the project's quota is used up"
says 'os.mkdir("work/disk/project/d") or allocate("work/disk/project/d/g", 1 << 20)' EDQUOT "fallocate in a folder below"
says 'os.statvfs("work/disk/project").f_bavail' 0 "statfs says so there"
says 'os.statvfs("work/disk").f_bavail > 5000' True "and not of the disk"
says 'os.rename("work/disk/kept", "work/disk/project/kept")' EXDEV "what is of no project is not moved into it"
says 'create_all("work/disk/project/i")' EDQUOT "create: files have one, too"
says 'fill("work/disk/other") or True' ENOSPC "others have the whole disk"
says 'os.unlink("work/disk/other") or os.unlink("work/disk/project/f") or soon(lambda: write("work/disk/project/i0"))' 1 "unlink makes room"
says 'shutil.rmtree("work/disk/project")' None "all of it goes"

ok "the host makes the disk read-only" wait_for 10 read_only
says 'create("work/disk/new")' EROFS "create"
says 'write("work/disk/kept")' EROFS "write"
says 'write("work/disk/kept", flags=os.O_TRUNC)' EROFS "truncate"
says 'os.unlink("work/disk/kept")' EROFS "unlink"
says 'os.rename("work/disk/kept", "work/disk/k")' EROFS "rename"
says 'os.chmod("work/disk/kept", 0o600)' EROFS "chmod"
says 'os.utime("work/disk/kept")' EROFS "utime"
says 'os.setxattr("work/disk/kept", "user.a", b"v")' EROFS "setxattr"
says 'len(open("work/disk/kept", "rb").read())' 100000 "what is there is read"
mount -o remount,rw work/disk
says 'write("work/disk/kept")' 1 "the host makes it writable again"

says 'write("work/gone/f", flags=os.O_CREAT)' 1 "a file in a folder"
rm -r work/gone
says 'write("work/gone/f")' ENOENT "the host deletes the folder"
ln -s "$PWD/elsewhere" work/gone
echo outside >elsewhere/f
says 'soon(lambda: os.readlink("work/gone"))' "$PWD/elsewhere" "and puts a link there, which is the guest's to follow"

vm=$guest_pid
frozen=$(servers share=work)
kill -STOP "$frozen"
says 'globals().update(waits=start(lambda: create("work/late"))) or time.sleep(0.5)' None "a program of the guest uses the share"
says 'os.waitpid(waits, os.WNOHANG)' '(0, 0)' "it waits while the server is frozen"
says 'globals().update(killed=start(lambda: os.listdir("work/disk"))) or time.sleep(0.5) or os.kill(killed, 9)' None "another one is killed meanwhile"
says 'len(os.listdir("/")) > 5' True "and others do not"
is "$(ls work/late 2>/dev/null)" "" "nothing is done"
kill -CONT "$frozen"
says 'os.waitpid(waits, 0)[1]' 0 "until the server goes on"
says 'os.waitpid(killed, 0)[1]' 9 "and the one that was killed is gone"

# The share's own folder.
umount work/disk
mv work away && ln -s "$PWD/elsewhere" work
says 'write("work/f", flags=os.O_CREAT)' 1 "the share's folder makes way for a link: the guest keeps the folder"
is "$(cat elsewhere/f) $(cat away/f)" "outside x" "and what is behind the link is not touched"
rm work && rm -r away
says 'create("work/g")' ENOENT "the folder is deleted: nothing can be made in it"
says 'os.listdir("work")' '[]' "nothing is in it"
mkdir work
says 'create("work/g")' ENOENT "another one of that name is not the share"
is "$(ls work)" "" "and stays empty"
finish

# Stores by mapping.
mount -o loop image work
rm -rf work/*
truncate -s 4M work/holes
begin disk=work --set device.dax-size=8M --set device.dax-files=all
says 'fill("disk/f")' ENOSPC "the disk is full"
says 'child_stores("disk/holes", 4 << 20)' 'signal 7' "stores into a hole of a mapped file are SIGBUS"
says 'os.unlink("disk/f")' None "the monitor lives"
says 'soon(lambda: os.statvfs("disk").f_bavail > 5000 or os.stat("none"))' True "there is room again"
says 'child_stores("disk/holes", 4 << 20)' 'exit 0' "and it stores"
finish
umount work
is "$(grep -c KVM_RUN err)" 0 "KVM had nothing to complain of"
[ "$failures" = 0 ] || sed 's/^/#   /' err
