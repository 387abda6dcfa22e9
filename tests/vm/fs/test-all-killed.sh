#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# All processes of a share's lodge-fsd killed at once: the guest loses what it had open there, and nothing
# else. It mounts nothing again.
# TIMEOUT: 180
# NEEDS: lodge
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/fs/servers.sh
. "$TOP/tests/vm/fs/servers.sh"

mkdir -p work/sub fixed
echo "old text" >work/sub/open
echo "never written" >fixed/file
cat >job.sh <<'END'
D=/mnt/lodge/work
mkdir /tmp/bound && mount --bind $D /tmp/bound
for round in 1 2; do
	exec 7<$D/sub/open
	touch $D/ready.$round
	until [ -e $D/gone.$round ] 2>/dev/null; do sleep 0.1; done
	echo "new file $round" >$D/sub/new.$round && cat $D/sub/new.$round || echo "cannot write"
	mkdir $D/sub/dir.$round && rmdir $D/sub/dir.$round && ls $D/sub | xargs
	echo "open: $(timeout 5 cat <&7 2>&1 | sed 's/.*: //')"
	exec 7<&-
	cat $D/sub/open /mnt/lodge/fixed/file
	cat /tmp/bound/sub/new.$round >/dev/null && echo "bound $round"
done
END
timeout 170 lodge run --memory 512M --share work=work --share fixed=fixed:ro -- bash "$PWD/job.sh" >out 2>err </dev/null &
vm=$!

for i in 1 2; do
	ok "the guest is at work" wait_for 100 test -e "work/ready.$i"
	before=$(servers share=work)
	# shellcheck disable=SC2046 # three words
	kill -9 $(with_guard "$before")
	# shellcheck disable=SC2317 # called through wait_for
	another() {
		local now
		now=$(servers share=work)
		[ -n "$now" ] && [ "$now" != "$before" ]
	}
	ok "another lodge-fsd is there ($i)" wait_for 30 another
	touch "work/gone.$i"
done
status=0
wait "$vm" || status=$?
is "$status" 0 "the guest ends by itself"
is "$(grep -c 'cannot write' out)" 0 "it makes files and folders as before"
like "$(cat out)" "new file 1.*new.1 open.*new file 2.*new.1 new.2 open" "and finds them"
is "$(grep -c '^open: Stale file handle' out)" 2 "what it had open is lost, and it is told so"
is "$(grep -c '^old text' out)" 2 "by its name it is there"
is "$(grep -c '^never written' out)" 2 "a share that is read-only goes on as well"
is "$(grep -c '^bound' out)" 2 "and a mount of the share's folder"
is "$(cat work/sub/new.2)" "new file 2" "the host sees what it wrote"
[ "$failures" = 0 ] || sed 's/^/#   /' out err
