#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Suites that others wrote, in a share of a disk with ext4, by lodge_fs in guests with other kernels, such as CentOS 7's.
# GUEST_KERNELS as in test-other.sh; SUITE, TESTS, FSX, FSX_OPS and FSX_SEEDS as in fs/test-outside.sh. What fails on the
# guest's own tmpfs in the same way is the kernel's.
# TIMEOUT: 5400
# NEEDS: lodge lodged busybox cpio depmod inotifywait mkfs.ext4 losetup flock openssl
# shellcheck source=tests/vm/lib.sh
. "$LIB"
[ -n "${GUEST_KERNELS:-}" ] || skip "no other kernels: GUEST_KERNELS names the folders of some (HACKING.md)"
[ -n "${SUITE:-}${FSX:-}" ] || skip "neither SUITE nor FSX is named"
[ "$(id -u)" = 0 ] || skip "mounting a file system takes root"
# shellcheck source=tests/vm/kernels/small-guest.sh
. "$TOP/tests/vm/kernels/small-guest.sh"

cp "$TOP/tests/vm/fs/outside.sh" outside.sh
chmod +x outside.sh
guest_extra=("$PWD/outside.sh" "$(command -v flock)" "$(command -v openssl)")
[ -z "${SUITE:-}" ] || guest_extra+=("$SUITE")
[ -z "${FSX:-}" ] || guest_extra+=("$FSX")

# run_suite FOLDER TEST...: lines as outside.sh prints them
run_suite() {
	patience=5000 in_box "mkdir -p $1; sh /usr/bin/outside.sh $SUITE $*"
}

# verdict WORD FILE NUMBER WHICH: of the share; what fails is tried once more without one
verdict() {
	if [ "$1" = passes ]; then
		pass "$2 ($3)"
	elif run_suite /own/work "${2%.t}" | grep -qxF "$*"; then
		pass "$2 # fails $3 times, as without a share"
	else
		fail "$2 fails: $3 $4"
	fi
}

run_pjdfstest() {
	local word file number which ran=0
	local -a tests
	read -ra tests <<<"${TESTS:-$(cd "$SUITE/tests" && echo */)}"
	run_suite /mnt/lodge/work "${tests[@]%/}" >told
	keep told "outside-$version.log"
	while read -r word file number which; do
		case $word in
		passes | fails) ran=$((ran + 1)) && verdict "$word" "$file" "$number" "$which" ;;
		*) echo "#   $word $file $number $which" ;;
		esac
	done <told
	ok "pjdfstest ran" test "$ran" -gt 0
}

# run_fsx NAME OPERATIONS OPTION...
run_fsx() {
	local name=$1 n=$2 seed
	shift 2
	for seed in ${FSX_SEEDS:-1 2 3}; do
		ok "fsx, $name, $n operations, seed $seed" in_box_long "${FSX##*/} -q -N $n -S $seed $* -P /tmp /mnt/lodge/work/fsx"
	done
}

in_box_long() { patience=3000 in_box "$1"; }

check_kernel() {
	local n=${FSX_OPS:-20000}
	make_guest "$1" || return 0
	ok "$version: it starts" lodge start box
	ok "with tools" lodge wait --timeout 120 box tools || { tail -n 40 console | sed 's/^/#   /'; return; }
	in_box "$(load lodge_backdoor); $(load lodge_fs) take=1; mkdir /own; mount -t tmpfs -o mode=755 own /own"
	ok "by lodge_fs" wait_for 60 by lodge_fs
	[ -z "${SUITE:-}" ] || run_pjdfstest
	if [ -n "${FSX:-}" ]; then
		run_fsx "small files" "$n" -c 200
		run_fsx "files of 8 MiB" $((n / 4)) -l 8388608
	fi
	is "$(in_box 'dmesg | grep -v "Stack Overflow: WARNING" | grep -E "BUG:|WARNING: |Oops|Call Trace|refcount|hung_task|lockup"')" "" "the kernel complains of nothing"
	lodge kill box
	wait_for 20 not_there
}

truncate -s 1G image
mkfs.ext4 -q -F image
modprobe -a loop ext4 2>/dev/null
mount -o loop image work || skip "no loop device here"
trap 'code=$?; umount -l work; end_scenario $code' EXIT
chmod 755 work "$WORK" "$(dirname "$WORK")"
for folder in $GUEST_KERNELS; do
	[[ $folder = /* ]] || folder=$TOP/$folder
	check_kernel "$folder"
done
