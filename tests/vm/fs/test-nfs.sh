#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A share on NFS, of a server on this host: files that are open when they are deleted, trees that go, changes behind the
# client's back, and a server that does not answer for a while, over which other shares go on.
# TIMEOUT: 400
# NEEDS: lodge mkfs.ext4 exportfs rpc.nfsd rpc.mountd mount.nfs4 python3
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/fs/servers.sh
. "$TOP/tests/vm/fs/servers.sh"

[ "$(id -u)" = 0 ] || skip "mounting a file system takes root"
modprobe -aq loop ext4 nfsd nfsv4 || skip "this host's kernel has no NFS"
truncate -s 256M image
mkfs.ext4 -q -F image
mkdir disk far local
mount -o loop image disk || skip "no loop device here"

stop_nfs() {
	rpc.nfsd 0
	exportfs -ua
	pkill -x rpc.mountd
}

clean_up() {
	local code=$?
	umount -fl far 2>/dev/null
	stop_nfs
	umount -l disk
	end_scenario $code
}
trap clean_up EXIT

# Of version 4 alone, which needs no portmapper; nobody has state to reclaim.
serve() {
	mountpoint -q /proc/fs/nfsd || mount -t nfsd nfsd /proc/fs/nfsd
	echo 10 >/proc/fs/nfsd/nfsv4gracetime
	rpc.nfsd -N 3 4 && echo Y >/proc/fs/nfsd/v4_end_grace
}

mkdir -p /run/rpc_pipefs /var/lib/nfs/v4recovery /var/lib/nfs/rpc_pipefs
ok "an NFS server runs" serve
rpc.mountd -N 3
ok "which exports the disk" exportfs -o rw,no_root_squash,insecure,no_subtree_check,fsid=0 "127.0.0.1:$PWD/disk"
ok "and the host mounts it" timeout 60 mount -t nfs4 -o timeo=20,acregmax=3,acdirmax=3 127.0.0.1:/ far

# inside COMMAND: in the guest, as root; both streams
inside() {
	timeout "${SECONDS_MAX:-120}" lodge exec nfs -- sh -c "$1" 2>&1 </dev/null
}

# fails_in FOLDER CASE...: cases that fail, each in a folder of its own; to be run here or there
fails_in() {
	folder=$1
	shift
	for case in "$@"; do
		mkdir -p "$folder/$case"
		"$BUILD/guest/fs-conform" -n 300 "$folder/$case" "$case" | sed -n 's/^not ok 1 //p'
	done
}

rmdir far/lost+found
mkdir far/work far/native local/work
lodge run --name nfs --memory 512M -- sleep 100000 >vm.log 2>&1 </dev/null &
vm=$!
ok "a VM starts" wait_for 100 lodge info nfs
ok "and has its tools" lodge wait --timeout 120 nfs tools
ok "and a share on NFS" lodge share add nfs "far=$PWD/far"
ok "and one that is not" lodge share add nfs "near=$PWD/local"
ok "which both are there" wait_for 20 inside 'test -d /mnt/lodge/far/work -a -d /mnt/lodge/near/work'

# While NFS keeps a removed name for us a file's links are one more, and a folder changes when it goes.
read -ra cases < <("$BUILD/guest/fs-conform" -n 300 local/work | sed -n 's/^ok [0-9]* \([a-z0-9-]*\).*/\1/p' | tr '\n' ' ')
ok "there are cases" test ${#cases[@]} -gt 30
native=$(fails_in "$PWD/far/native" "${cases[@]}")
new=$(inside "BUILD=$BUILD; $(declare -f fails_in); fails_in /mnt/lodge/far/work ${cases[*]}" | grep -vxF "$native" | grep -vx -e links -e stamps-of-folders)
is "$new" "" "what conforms on the host's mount does so in the guest"

# shellcheck disable=SC2016 # what the guest expands
for i in 1 2; do
	is "$(inside 'cd /mnt/lodge/far && mkdir t && for d in 1 2 3 4 5 6 7 8; do
mkdir t/$d && for f in 1 2 3 4 5 6 7 8 9; do echo $f >t/$d/$f; done; done
ls -lR t >/dev/null && rm -r t && ls')" "$(printf '%s\n' native work)" "a tree goes ($i)"
done
is "$(inside "python3 -c '
import os, time
f = open(\"/mnt/lodge/far/open\", \"w+\")
f.write(\"before\")
f.flush()
os.unlink(f.name)
time.sleep(4)
f.write(\" after\")
f.seek(0)
print(f.read())'")" "before after" "a file that is deleted while it is open goes on"

# Behind the client's back.
echo old >far/back
is "$(inside 'cat /mnt/lodge/far/back')" old "a file is read"
rm disk/back
echo new >disk/new
ok "another machine removes it" wait_for 90 inside '! cat /mnt/lodge/far/back'
ok "and makes one" wait_for 90 inside 'grep -q new /mnt/lodge/far/new'

# shellcheck disable=SC2016
inside 'cd /mnt/lodge/far/work; for i in $(seq 100); do mkdir m$i && mv m$i n$i && echo $i >>log || echo failed $i; done' >made &
at_work=$!
deaths=0
while kill -0 $at_work 2>/dev/null; do
	pid=$(servers lodge-fsd | head -n 1)
	[ -z "$pid" ] || { kill -9 "$pid" 2>/dev/null && deaths=$((deaths + 1)); }
	sleep 1 # the pace
done
wait $at_work
is "$(cat made)" "" "a server that is killed over its work does it"
is "$(find disk/work -name 'n[0-9]*' | wc -l) $(sort -n disk/work/log | uniq | wc -l) $(wc -l <disk/work/log)" "100 100 100" "once"
ok "and was killed" test $deaths -gt 1

# More programs than one wait for the server, which is away.
ok "the NFS server goes away" rpc.nfsd 0
for i in $(seq 12); do
	inside "echo $i >/mnt/lodge/far/late$i && cat /mnt/lodge/far/late$i" >"late$i" &
	late[i]=$!
done
sleep 3 # names and attributes that the client has run out
worst=0
for i in $(seq 10); do
	began=$(date +%s%N)
	SECONDS_MAX=20 inside 'cd /mnt/lodge/near/work && echo text >f && mv f g && sync g && cat g && rm g && ls /mnt/lodge' >near || break
	took=$((($(date +%s%N) - began) / 1000000))
	[ "$took" -le "$worst" ] || worst=$took
	sleep 0.3 # the pace
done
is "$(cat near)" "$(printf '%s\n' text far near)" "another share goes on"
ok "within 2 s, the start of a program in it (${worst} ms)" test "$worst" -le 2000
is "$(cat late*)" "" "while what is asked of the one that is away waits"
ok "it comes back" serve
done=0
for i in $(seq 12); do wait "${late[i]}" && done=$((done + 1)); done
is "$done $(sort -n late* | tr '\n' ' ')" "12 $(seq -s ' ' 12) " "and all of that is done"

lodge kill nfs
wait "$vm" || :
