#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A share on NFS, of a server on this host: files that are open when they are deleted, trees that go, changes behind the
# client's back, and our server killed over it. What a silent NFS server does: nfs-silent.
# TIMEOUT: 400
# NEEDS: lodge mkfs.ext4 exportfs rpc.nfsd rpc.mountd mount.nfs4 python3
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/fs/servers.sh
. "$TOP/tests/vm/fs/servers.sh"
# shellcheck source=tests/vm/fs/nfs.sh
. "$TOP/tests/vm/fs/nfs.sh"

begin_nfs

# fails_in FOLDER CASE...: cases that fail, each in a folder of its own; to be run here or there
fails_in() {
	folder=$1
	shift
	for case in "$@"; do
		mkdir -p "$folder/$case"
		"$BUILD/guest/fs-conform" -n 300 "$folder/$case" "$case" | sed -n 's/^not ok 1 //p'
	done
}

begin_vm

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

lodge kill nfs
wait "$vm" || :
