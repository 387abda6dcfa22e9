#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An NFS server that does not answer: other shares go on over it, and what waited for it is done when it is back. The guest
# can be reset meanwhile, shares of it removed and added, the VM ended, and another started.
# TIMEOUT: 600
# NEEDS: lodge mkfs.ext4 exportfs rpc.nfsd rpc.mountd mount.nfs4
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/fs/servers.sh
. "$TOP/tests/vm/fs/servers.sh"
# shellcheck source=tests/vm/fs/nfs.sh
. "$TOP/tests/vm/fs/nfs.sh"

# near_goes_on: a program's work in the share that is not on NFS
near_goes_on() {
	SECONDS_MAX=20 inside 'cd /mnt/lodge/near/work && echo text >f && mv f g && sync g && cat g && rm g && ls /mnt/lodge'
}

boot_id() {
	SECONDS_MAX=10 inside 'cat /proc/sys/kernel/random/boot_id'
}

is_another() {
	boot_id >boot && [ -s boot ] && [ "$(cat boot)" != "$before" ]
}

all_gone() {
	local pid
	for pid in $old; do [ ! -e "/proc/$pid" ] || return 1; done
}

begin_nfs
begin_vm

# For later, a VM that is kept, without its command's streams.
mkdir box
cp "$XDG_RUNTIME_DIR/lodge/nfs/vm/vm.conf" "$XDG_RUNTIME_DIR/lodge/nfs/vm/initrd" box/
sed -i -e 's/^backend=file:.*/backend=file:serial.log/' -e 's/^backend=fd:-1.*/backend=file:out.log/' \
	-e 's,^backend=fd:.*,backend=file:ports.log,' box/vm.conf

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
	near_goes_on >near || break
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

# A guest that hangs is reset by its user. What it had asked is lost, and nothing else is.
ok "the NFS server goes away once more" rpc.nfsd 0
inside 'echo lost >/mnt/lodge/far/lost' >lost &
sleep 3 # as above
before=$(boot_id)
timeout -s KILL 5 lodge exec nfs -- sh -c 'echo b >/proc/sysrq-trigger' >/dev/null 2>&1
ok "the guest is reset" wait_for 60 is_another
began=$SECONDS
ok "and has its share that is not away" wait_for 20 inside 'test -d /mnt/lodge/near/work'
echo "# $((SECONDS - began)) s behind the tools"
is "$(near_goes_on)" "$(printf '%s\n' text far near)" "which works"
ok "it comes back" serve
ok "and so does the other share" wait_for 60 inside 'echo new >/mnt/lodge/far/new && cat /mnt/lodge/far/new'

# A share that hangs is removed, one is added, a VM ended.
ok "the NFS server goes away for good" rpc.nfsd 0
inside 'echo lost >/mnt/lodge/far/lost' >lost &
sleep 3 # as above
ok "the share is removed" timeout 20 lodge share remove nfs far
is "$(near_goes_on)" "$(printf '%s\n' text near)" "which leaves the other one as it is"
sleep 4 # what the host's kernel has kept of the folder is good no longer
ok "one of the silent machine is added" timeout 20 lodge share add nfs "again=$PWD/far"
is "$(near_goes_on)" "$(printf '%s\n' text again near)" "which does so, too"
old=$(servers lodge-fsd)
ok "the VM ends" timeout 30 lodge kill nfs
wait "$vm" || :
ok "and no server of it is left" wait_for 10 all_gone

# A VM whose vm.conf has three shares: one is here, one what is mounted here, one a folder below that.
ok "the server comes back" serve
for share in "far=$PWD/far" "deep=$PWD/far/work" "near=$PWD/local"; do
	ok "share ${share%%=*} is for a VM that is off" timeout 60 lodge share add ./box "$share"
done
ok "the NFS server goes away" rpc.nfsd 0
sleep 4 # as above
run timeout 20 lodge share add ./box "deeper=$PWD/far/native"
is "$status" 75 "a folder of it cannot be looked at"
like "$err" "does not answer; try again" "which is said"
began=$SECONDS
ok "the VM starts all the same" timeout 60 lodge start ./box
echo "# in $((SECONDS - began)) s"
vm_name=./box
ok "and has its tools" lodge wait --timeout 120 ./box tools
is "$(near_goes_on)" "$(printf '%s\n' text far near)" "and the share that is here"
ok "the server comes back" serve
ok "and the folder comes" wait_for 60 inside 'echo deep >/mnt/lodge/deep/f && cat /mnt/lodge/far/work/f'
is "$(near_goes_on)" "$(printf '%s\n' text deep far near)" "beside the others"
ok "the NFS server goes away" rpc.nfsd 0
sleep 4 # as above
before=$(boot_id)
timeout -s KILL 5 lodge exec ./box -- sh -c 'echo b >/proc/sysrq-trigger' >/dev/null 2>&1
ok "the guest is reset" wait_for 100 is_another
ok "and has its share that is here" wait_for 20 inside 'test -d /mnt/lodge/near/work'
is "$(near_goes_on)" "$(printf '%s\n' text deep far near)" "and all others"
ok "the server comes back" serve
ok "which can be used" wait_for 60 inside 'cat /mnt/lodge/deep/f /mnt/lodge/far/work/f'
ok "the VM ends" timeout 30 lodge kill ./box
