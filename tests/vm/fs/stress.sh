#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# stress.sh FOLDER SECONDS: stress-ng's file system stressors with --verify, fio with checksums and fs_mark, in FOLDER.
# One line for each: its name, and "ok" or what it said.
set -u
folder=$1
seconds=$2

tell() {
	local name=$1 said status
	shift
	said=$(cd "$folder" && "$@" 2>&1 </dev/null)
	status=$?
	# stress-ng: 3 and 4 are what it cannot do here.
	case $status in
	0 | 3 | 4) echo "$name: ok" ;;
	*) echo "$name: status $status: $(grep -E 'fail|error|verify|bad' <<<"$said" | head -n 3 | tr '\n' ' ')" ;;
	esac
}

# All at once: what they do to each other is part of it.
stressors=(access chdir chmod chown dentry dir fallocate fcntl filename flock fpunch fsize fstat getdent handle iomix link lockf
	locka lockofd mknod open rename symlink sync-file touch utime xattr)
options=(--temp-path "$folder" --verify --timeout "${seconds}s" --chdir-dirs 2000 --iomix-bytes 4M --fallocate-bytes 8M --sync-file-bytes 4M)
for ((i = 0; i < ${#stressors[@]}; i += 9)); do
	some=("${stressors[@]:i:9}")
	words=()
	for one in "${some[@]}"; do
		words+=("--$one" 1)
	done
	tell "stress-ng ${some[*]}" stress-ng "${options[@]}" "${words[@]}"
done

verify=(--directory="$folder" --size=2M --verify=crc32c --verify_fatal=1 --do_verify=1 --minimal --end_fsync=1)
tell "fio psync" fio --name=a --ioengine=psync --rw=randwrite --bsrange=512-64k --bs_unaligned=1 "${verify[@]}"
tell "fio mmap" fio --name=b --ioengine=mmap --rw=randwrite --bs=4k "${verify[@]}"
tell "fio libaio" fio --name=c --ioengine=libaio --iodepth=8 --rw=randwrite --bs=8k "${verify[@]}"
tell "fio O_DIRECT" fio --name=e --ioengine=libaio --direct=1 --iodepth=8 --rw=randrw --bsrange=4k-64k "${verify[@]}"
tell "fio sequential" fio --name=d --ioengine=pvsync2 --rw=write --bs=128k --fsync=16 "${verify[@]}"
for sync in 0 5; do
	tell "fs_mark, sync $sync" fs_mark -d "$folder/mark" -n 20 -s 6000 -t 2 -S $sync -D 4 -N 10
	rm -rf "$folder/mark"
done
