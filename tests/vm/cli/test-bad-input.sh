#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What users get wrong: each is refused by one line that names the thing, and nothing is left behind.
# TIMEOUT: 300
# USER: ordinary
# NEEDS: lodge
# shellcheck source=tests/vm/lib.sh
. "$LIB"

long=$(printf 'x%.0s' {1..256})
: >empty
printf 'no kernel at all' >text
head -c 4096 /boot/vmlinuz-"$(uname -r)" >truncated 2>/dev/null ||
	head -c 4096 "$(printf '%s\n' /boot/vmlinuz-* | tail -n 1)" >truncated
echo x >file
truncate -s 1M disk
mkdir folder closed
chmod 0 closed

# --- command lines ---
refuses "no verb" "no verb 'fly'" lodge fly
refuses "unknown option" "[Uu]nknown option.*lodge run --help" lodge run --fly
refuses "0 CPUs" "--cpus: '0'.*from 1 to 64" lodge run --cpus 0 -- true
refuses "65 CPUs" "--cpus: '65'.*from 1 to 64" lodge run --cpus 65 -- true
refuses "memory 0" "--memory: '0' is too little.*32M" lodge run --memory 0 -- true
refuses "odd memory" "--memory: '33554433'.*give 32M" lodge run --memory 33554433 -- true
refuses "memory that is no size" "--memory: 'lots' is not a size" lodge run --memory lots -- true
refuses "more memory than the host has" "more than this host's" lodge run --memory 900G -- true
refuses "name with a slash" "--name: 'a/b'" lodge run --name a/b -- true

# --- images ---
refuses "missing kernel" "/none: No such file" lodge run --kernel /none -- true
refuses "empty kernel" "empty: .*kernel" lodge run --kernel empty -- true
refuses "kernel that is a folder" "folder: .*kernel" lodge run --kernel folder -- true
refuses "missing initrd" "/none: No such file" lodge run --kernel truncated --initrd /none
if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
	refuses "text for a kernel" "text" lodge run --kernel text --initrd file
	refuses "truncated kernel" "truncated" lodge run --kernel truncated --initrd file
fi

# --- shares ---
refuses "share without a path" "--share: 'a' is no share.*NAME=PATH" lodge run --share a -- true
refuses "share that is missing" "/none: No such file.*folder" lodge run --share a=/none -- true
refuses "share that is a file" "file: not a folder" lodge run --share a=file -- true
refuses "share that cannot be read" "closed: Permission denied" lodge run --share a=closed -- true
refuses "share name with a slash" "a share's name" lodge run --share a/b=folder -- true
refuses "share name .." "a share's name" lodge run --share ..=folder -- true
refuses "empty share name" "a share's name" lodge run --share =folder -- true
refuses "share name of 256 bytes" "a share's name" lodge run --share "$long=folder" -- true
refuses "share name that is not UTF-8" "a share's name" lodge run --share $'\xff=folder' -- true
refuses "two shares of one name" "given twice" lodge run --share a=folder --share a=folder -- true
refuses "root that is missing" "/none: No such file" lodge run --root /none -- true

# --- disks ---
refuses "missing disk" "/none: No such file.*truncate" lodge run --disk /none -- true
refuses "disk that is a folder" "folder: no file" lodge run --disk folder -- true
refuses "disk smaller than a sector" "file: smaller than one sector" lodge run --disk file -- true
chmod 444 disk
refuses "disk that cannot be written" "disk: Permission denied.*read-only" lodge run --disk disk -- true

# --- sockets' paths ---
deep=$PWD/$long
mkdir -m 700 "$deep" 2>/dev/null || { deep=$PWD/${long:0:150}; mkdir -m 700 "$deep"; }
refuses "run-time folder too long for sockets" "too long for a socket's path.*XDG_RUNTIME_DIR" \
	env XDG_RUNTIME_DIR="$deep" lodge run -- true
refuses "run-time folder that is missing" "/none/lodge: cannot be made" \
	env XDG_RUNTIME_DIR=/none lodge run -- true

# --- VMs ---
refuses "start of nothing" "no VM 'box'.*lodge list" lodge start box
refuses "stop of nothing" "no VM 'box'" lodge stop box
refuses "start without a name" "which VM" lodge start
refuses "start of an impossible name" "cannot name a VM" lodge start 'a b'
refuses "start of a folder without vm.conf" "no vm.conf" lodge start ./folder
refuses "create with 0 CPUs" "\[cpu\] count: '0'" lodge create --kernel file --cpus 0 box
refuses "create with a missing kernel" "/none: No such file" lodge create --kernel /none box
run lodge create --kernel file --memory 64M box
is "$status" 0 "a VM is made"
refuses "create of one that is there" "is there already" lodge create --kernel file box
refuses "a full disk for what is printed" "standard output: not all could be written" sh -c 'lodge list >/dev/full'
refuses "kill of one that is off" "does not run" lodge kill box
refuses "info of one that is off" "does not run" lodge info box
refuses "unknown setting" "no such key" lodge set box memory.colour=red
refuses "setting without a value" "GROUP.KEY=VALUE" lodge set box memory.size
refuses "bad value" "vm.conf:[0-9]*: \[memory\] size: '1'" lodge set box memory.size=1
refuses "second of two changes is bad" "\[cpu\] count" lodge set box memory.size=128M cpu.count=99
is "$(lodge show box memory.size)" 64M "then the first one is not made either"
ok "a good change is made" lodge set box memory.size=128M disk.data.file="$PWD/disk"
is "$(lodge show box memory.size)" 128M "and shown"
is "$(lodge show box disk.data.file)" "$PWD/disk" "a disk's setting, too"
ok "a whole group is taken out" lodge set box disk.data=
refuses "then it is not set" "does not set disk.data.file" lodge show box disk.data.file
conf=$HOME/.local/share/lodge/box/vm.conf
echo 'nonsense' >>"$conf"
refuses "broken vm.conf" "vm.conf:[0-9]*: 'nonsense'" lodge start box
refuses "delete with nobody to ask" "say --yes" lodge delete box
ok "delete" lodge delete --yes box
is "$(ls "$HOME/.local/share/lodge")" "" "leaves nothing"

is "$(left_at_run_time)" "" "no run-time files are left"
