#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Suites that others wrote, in a share of a disk with ext4. SUITE is the folder of a built pjdfstest, FSX a program fsx; one
# of them is enough. WAY is the way in: virtiofs, lodge_fs or rpc. OWNER is whose server it is: root, or an ordinary user with an
# exact share (exact), or with one whose files are all the guest's first user's (user). TESTS="chmod open/03" are those of
# pjdfstest alone, FSX_OPS and FSX_SEEDS how much fsx does, SETTINGS="device.dax-size=16M" more of the VM, with MAPPED=1 for
# fsx to use that.
# TIMEOUT: 5400
# NEEDS: lodge mkfs.ext4 losetup
# shellcheck source=tests/vm/lib.sh
. "$LIB"

way=${WAY:-virtiofs} owner=${OWNER:-root}
[ -n "${SUITE:-}${FSX:-}" ] || skip "neither SUITE nor FSX is named"
[ "$(id -u)" = 0 ] || skip "mounting a file system takes root"
case $way in virtiofs | lodge_fs | rpc) ;; *) fail "WAY=$way: say virtiofs, lodge_fs or rpc" && exit 0 ;; esac
case $owner in root | exact | user) ;; *) fail "OWNER=$owner: say root, exact or user" && exit 0 ;; esac

# What fails, and why it may: whose server, the file of pjdfstest, how many of its checks (with user 1000's server; one that is
# refused brings others with it).
known='exact chown/00 20: symbolic links have no owners of their own
exact rename/09 128: in a sticky folder that decides who may rename
exact rename/10 294: the same
exact unlink/11 15: or remove'

truncate -s 1G image
mkfs.ext4 -q -F image
mkdir fs
modprobe -a loop ext4 2>/dev/null
mount -o loop image fs || skip "no loop device here"
trap 'code=$?; umount -l fs; end_scenario $code' EXIT
mkdir fs/work
chmod 755 fs "$WORK" "$(dirname "$WORK")"
as=() rule=exact
if [ "$owner" != root ]; then
	chown -R 1000:1000 fs/work "$HOME" "$XDG_RUNTIME_DIR"
	as=(setpriv --reuid 1000 --regid 1000 --clear-groups)
	rule=$owner
fi

lodge() {
	"${as[@]}" "$BUILD/bin/lodge" "$@"
}

# inside COMMAND: in the guest, as root; both streams
inside() {
	lodge exec suite -- sh -c "PATH=$BUILD/bin:\$PATH:/usr/sbin:/sbin; $1" 2>&1 </dev/null
}

by() {
	inside 'lodge-toolbox share' | grep -q "at /mnt/lodge by $way, .*health: ok"
}

# go WAY: lodged takes it, once no better one is left
# shellcheck disable=SC2016 # what the guest expands
go() {
	[ "$1" != virtiofs ] || return 0
	[ "$1" != lodge_fs ] || inside "insmod $BUILD/modules/\$(uname -r)/lodge_fs.ko take=1"
	inside 'umount /mnt/lodge; modprobe fuse; cd /sys/bus/virtio/drivers/virtiofs
for dev in virtio*; do break; done; echo $dev >unbind
[ ! -e ../lodge_fs ] || echo $dev >../lodge_fs/bind; kill -HUP $(pidof lodged)'
}

# verdict WORD FILE NUMBER WHICH: a check of this scenario; what is known has to fail as it does
verdict() {
	local why
	why=$(sed -n "s,^$owner ${2%.t} $3: ,,p" <<<"$known")
	if [ "$1" = passes ]; then
		pass "$2 ($3)"
	elif grep -qxF "$*" native; then
		pass "$2 # fails $3 times, as without a share"
	elif [ -n "$why" ]; then
		pass "$2 # fails $3 times: $why"
	else
		fail "$2 fails: $3 $4"
	fi
}

# The rule "user" is for one user's files: that user runs the suite, and what it may not do on the disk itself fails here, too.
run_pjdfstest() {
	local word file number which ran=0 user='' failed=0
	local -a tests
	read -ra tests <<<"${TESTS:-$(cd "$SUITE/tests" && echo */)}"
	: >native
	if [ "$owner" = user ]; then
		user='setpriv --reuid 1000 --regid 1000 --clear-groups'
		install -d -o 1000 -g 1000 fs/native
		$user sh "$TOP/tests/vm/fs/outside.sh" "$SUITE" "$PWD/fs/native" "${tests[@]%/}" >native
	fi
	while read -r word file number which; do
		echo "$word $file $number $which" >>log
		case $word in
		passes | fails) ran=$((ran + 1)) failed=$failures && verdict "$word" "$file" "$number" "$which" ;;
		*) [ "$failed" = "$failures" ] || echo "#   $word $file $number $which" ;;
		esac
	done < <(inside "$user sh $TOP/tests/vm/fs/outside.sh $SUITE /mnt/lodge/work ${tests[*]%/}")
	keep log "outside-$way-$owner.log"
	ok "pjdfstest ran" test "$ran" -gt 0
}

# fsx COMMAND: in the guest, and its result at once where people look
fsx() {
	local status=0
	inside "$1" || status=$?
	echo "status $status of $1" >>log
	keep log "outside-$way-$owner.log"
	return $status
}

# run_fsx NAME OPERATIONS OPTION...: with mapped reads and writes unless OPTIONs forbid them
run_fsx() {
	local name=$1 n=$2 seed
	shift 2
	for seed in ${FSX_SEEDS:-1 2 3}; do
		ok "fsx, $name, $n operations, seed $seed" fsx "$FSX -q -N $n -S $seed $* -P /tmp $folder/fsx"
	done
}

# Every file by the DAX window, which SETTINGS has to give.
map_all() {
	folder=/run/mapped/work
	ok "with every file mapped" inside 'umount /mnt/lodge; mkdir /run/mapped && mount -t virtiofs -o dax=always lodge /run/mapped'
}

options=()
for setting in ${SETTINGS:-}; do options+=(--set "$setting"); done
lodge run --name suite --memory 640M "${options[@]}" -- sleep 100000 >vm.log 2>&1 </dev/null &
vm=$!
ok "a VM starts" wait_for 100 lodge info suite
ok "and has its tools" lodge wait --timeout 120 suite tools
ok "and a share" lodge share add suite "work=$PWD/fs/work" --owner "$rule"
go "$way"
ok "by $way" wait_for 60 by
inside 'dmesg -C'
[ -z "${SUITE:-}" ] || run_pjdfstest
if [ -n "${FSX:-}" ]; then
	folder=/mnt/lodge/work
	[ -z "${MAPPED:-}" ] || map_all
	n=${FSX_OPS:-20000}
	run_fsx "small files" "$n" -c 200
	run_fsx "O_DIRECT" "$n" -Z -R -W -r 512 -w 512 -t 512
	# Of megabytes, which take so much longer.
	run_fsx "large files" $((n / 10)) -l 6000000 -o 300000 -c 200
	run_fsx "large files, O_DIRECT" $((n / 10)) -l 6000000 -o 300000 -Z -R -W -r 4096 -w 4096 -t 4096 -c 200
fi
is "$(inside 'dmesg -k | grep -E "BUG:|WARNING: CPU|Oops|Call Trace|blocked for more"')" "" "the guest's kernel complains of nothing"
[ -n "${MAPPED:-}" ] || ok "the share is there still" by
lodge kill suite
wait "$vm"
umount fs
trap 'end_scenario $?' EXIT
