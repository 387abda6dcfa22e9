#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lodge-fsd's server killed and frozen under load, 4 processors: the guest does not notice. Every call
# succeeds as if nothing had happened, what was open stays open, nothing that was acknowledged is lost.
# TIMEOUT: 400
# NEEDS: busybox cpio
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/vhost-user/guest.sh
. "$TOP/tests/vm/vhost-user/guest.sh"

mkdir share
echo "from the host" >share/hello
# shellcheck disable=SC2016 # for the guest
make_guest '
	mount -t virtiofs $tag /mnt && say mounted
	D=/mnt/docs
	say "$(cat $D/hello)"
	exec 7>$D/open 8<$D/open
	rm $D/open
	mkdir $D/here
	cd $D/here
	bad() { echo "$*" >>/tmp/bad; }
	load() {
		n=0
		while [ ! -e /tmp/stop ]; do
			n=$((n + 1))
			echo $n >$D/w$1.$n && sync $D/w$1.$n || bad write $1.$n
			echo $n >>/tmp/done.$1
			echo $n >>$D/log.$1 || bad append $1.$n
			mkdir $D/d$1 || bad mkdir $1.$n
			mv $D/d$1 $D/e$1 || bad rename $1.$n
			rmdir $D/e$1 || bad rmdir $1.$n
			(set -C; : >$D/x$1) || bad create $1.$n
			ln $D/x$1 $D/y$1 || bad link $1.$n
			rm $D/x$1 $D/y$1 || bad unlink $1.$n
		done
	}
	for i in 1 2 3 4; do load $i 2>>/tmp/said & done
	say busy
	while read -r line </dev/ttyS0 && [ "$line" != go ]; do
		say "hears $line"
	done
	touch /tmp/stop
	wait
	say "all answered"
	echo "written to no name" >&7 && say "open: $(cat <&8)"
	echo x >cwd && say "cwd: $(ls $D/here)"
	lost=0
	for i in 1 2 3 4; do
		for n in $(cat /tmp/done.$i); do
			[ "$(cat $D/w$i.$n)" = $n ] || lost=$((lost + 1))
		done
		cmp /tmp/done.$i $D/log.$i || bad log $i
	done
	say "acknowledged $(cat /tmp/done.* | wc -l) lost $lost"
	say "failed: $(cat /tmp/bad 2>/dev/null | wc -l)"
	head -n 5 /tmp/bad /tmp/said
	cd /
	exec 7>&- 8>&-
	umount /mnt && mount -t virtiofs $tag /mnt && say "mounted again"
'
make_vm 4 lodge "[share docs]
path=$WORK/share"
start_vm 380 input
ok "a guest with 4 processors is at work on its share" wait_for 150 said busy

monitor=$(cat "/proc/$vm/task/$vm/children")
threads=/proc/${monitor% }/task
is "$(cat "$threads"/*/status | grep -c '^Seccomp:.2')" "$(find "$threads" -maxdepth 1 -mindepth 1 | wc -l)" \
	"every thread of the monitor is in its sandbox"

deaths() {
	[ "$(grep -c 'the new server has' vm.log)" = "$1" ]
}
written() {
	find share -name 'w*' | wc -l
}
more_than() {
	[ "$(written)" -gt "$1" ]
}
for i in 1 2 3 4 5; do
	ok "it writes" wait_for 60 more_than "$(written)"
	kill -9 "$(server)"
	ok "another server goes on ($i)" wait_for 60 deaths "$i"
done
frozen=$(server)
kill -STOP "$frozen"
echo "a word" >&5
ok "the VM answers while its file server is frozen" wait_for 20 said "hears a word"
before=$(written)
sleep 2
is "$(written)" "$before" "and nothing is written"
kill -CONT "$frozen"
ok "it writes" wait_for 60 more_than "$(written)"
echo go >&5
end_vm "the guest ends by itself"
ok "no process of the guest waits for ever" said "all answered"
ok "an open file without a name is still there" said "open: written to no name"
ok "the working folder is still there" said "cwd: cwd"
like "$(console)" "guest: acknowledged [0-9]+ lost 0" "what was acknowledged is there"
ok "no call failed" said "failed: 0"
ok "it mounts the share again" said "mounted again"
is "$(grep -c 'the back end' vm.log)" 0 "the monitor did not notice either"
ok "no lodge-fsd is left" test -z "$(pgrep -P 1 -x 'lodge-fsd|lodge-keeper|lodge-guard')"
