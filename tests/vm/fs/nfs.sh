# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An NFS server on this host that exports an ext4, and the host's own mount of it in ./far. Source it behind lib.sh.

stop_nfs() {
	rpc.nfsd 0
	exportfs -ua
	pkill -x rpc.mountd
}

end_nfs() {
	local code=$?
	umount -fl far 2>/dev/null
	stop_nfs
	umount -l disk
	end_scenario $code
}

# Of version 4 alone, which needs no portmapper; nobody has state to reclaim.
serve() {
	mountpoint -q /proc/fs/nfsd || mount -t nfsd nfsd /proc/fs/nfsd
	echo 10 >/proc/fs/nfsd/nfsv4gracetime
	rpc.nfsd -N 3 4 && echo Y >/proc/fs/nfsd/v4_end_grace
}

# begin_nfs: ends the scenario where this host cannot
begin_nfs() {
	[ "$(id -u)" = 0 ] || skip "mounting a file system takes root"
	modprobe -aq loop ext4 nfsd nfsv4 || skip "this host's kernel has no NFS"
	truncate -s 256M image
	mkfs.ext4 -q -F image
	mkdir disk far local
	mount -o loop image disk || skip "no loop device here"
	trap end_nfs EXIT
	mkdir -p /run/rpc_pipefs /var/lib/nfs/v4recovery /var/lib/nfs/rpc_pipefs
	ok "an NFS server runs" serve
	rpc.mountd -N 3
	ok "which exports the disk" exportfs -o rw,no_root_squash,insecure,no_subtree_check,fsid=0 "127.0.0.1:$PWD/disk"
	ok "and the host mounts it" timeout 60 mount -t nfs4 -o timeo=20,actimeo=3 127.0.0.1:/ far
	rmdir far/lost+found
	mkdir far/work far/native local/work
}

# begin_vm: "nfs", with a share on NFS and one that is not
begin_vm() {
	lodge run --name nfs --memory 512M --set boot.on-reset=restart -- sleep 100000 >vm.log 2>&1 </dev/null &
	# shellcheck disable=SC2034 # the scenario's
	vm=$!
	ok "a VM starts" wait_for 100 lodge info nfs
	ok "and has its tools" lodge wait --timeout 120 nfs tools
	ok "and a share on NFS" lodge share add nfs "far=$PWD/far"
	ok "and one that is not" lodge share add nfs "near=$PWD/local"
	ok "which both are there" wait_for 20 inside 'test -d /mnt/lodge/far/work -a -d /mnt/lodge/near/work'
}

# inside COMMAND: in the guest, as root; both streams
inside() {
	timeout "${SECONDS_MAX:-120}" lodge exec "${vm_name:-nfs}" -- sh -c "$1" 2>&1 </dev/null
}
