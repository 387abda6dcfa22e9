#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lodge-fsd killed and frozen under load, 4 processors: every process of the guest gets an answer, the
# next lodge-fsd serves, and nothing that was acknowledged is lost.
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
	load() {
		n=0
		while [ ! -e /tmp/stop ]; do
			n=$((n + 1))
			if echo $n >$D/w$1.$n 2>/dev/null && sync $D/w$1.$n 2>/dev/null; then
				echo $n >>/tmp/done.$1
			fi
			mkdir $D/d$1 2>/dev/null && rmdir $D/d$1 2>/dev/null
		done
	}
	for i in 1 2 3 4; do load $i & done
	say busy
	# The host writes the file behind our back; a server that is new answers errors until we
	# mount again, so the end comes by the console.
	read -r line </dev/ttyS0
	touch /tmp/stop
	wait
	say "all answered"
	umount /mnt && mount -t virtiofs $tag /mnt && say "mounted again"
	say "$(cat $D/hello)"
	lost=0
	for i in 1 2 3 4; do
		for n in $(cat /tmp/done.$i 2>/dev/null); do
			[ "$(cat $D/w$i.$n)" = $n ] || lost=$((lost + 1))
		done
	done
	say "acknowledged $(cat /tmp/done.* | wc -l) lost $lost"
'
make_vm 4 lodge "[share docs]
path=$WORK/share"
start_vm 380 input
ok "a guest with 4 processors is at work on its share" wait_for 150 said busy

monitor=$(cat "/proc/$vm/task/$vm/children")
threads=/proc/${monitor% }/task
is "$(cat "$threads"/*/status | grep -c '^Seccomp:.2')" "$(find "$threads" -maxdepth 1 -mindepth 1 | wc -l)" \
	"every thread of the monitor is in its sandbox"

restarts() {
	[ "$(grep -c 'a new back end serves on' vm.log)" = "$1" ]
}
for i in 1 2 3; do
	ok "it has written something" wait_for 60 test -s "share/w1.1"
	kill -9 "$(server)"
	ok "lodge-fsd was started again ($i)" wait_for 60 restarts "$i"
done
frozen=$(server)
kill -STOP "$frozen"
ok "the VM answers while its file server is frozen" timeout 10 lodge-vmm --version
kill -CONT "$frozen"
echo go >&5
end_vm "the guest ends by itself"
ok "no process of the guest waits for ever" said "all answered"
ok "it mounts the share again" said "mounted again"
like "$(console)" "guest: from the host.*guest: from the host" "it reads before and after"
like "$(console)" "guest: acknowledged [0-9]+ lost 0" "what was acknowledged is there"
is "$(grep -c 'the back end closed the connection; it ended' vm.log)" 3 "the log names three deaths"
ok "no lodge-fsd is left" test -z "$(pgrep -P 1 -x lodge-fsd)"
