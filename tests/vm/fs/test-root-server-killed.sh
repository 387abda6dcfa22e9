#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest whose root is served, and a share with work in progress: both servers are killed again and
# again, also with the keepers that would start new ones, and the guest's programs go on.
# TIMEOUT: 400
# NEEDS: lodge tar fio
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/fs/servers.sh
. "$TOP/tests/vm/fs/servers.sh"

mkdir work
cat >job.sh <<'END'
set -e
cd /mnt/lodge/work
tar -C /usr/include -cf headers.tar linux/netfilter linux/usb
(cd /usr/include && find linux/netfilter linux/usb -type f -exec sha256sum {} +) >sums
mkdir tree
touch ready
while [ ! -e enough ]; do
	rm -rf tree/linux
	tar -C tree -xf headers.tar
	(cd tree && sha256sum --quiet -c ../sums)
	fio --name=verify --directory=. --rw=randwrite --bs=4k --size=2m --verify=crc32c \
		--verify_fatal=1 --do_verify=1 --minimal >/dev/null
	echo round >>rounds
done
# A program that nobody has read yet.
/usr/bin/sha512sum headers.tar >/dev/null
echo "the root is there: $(ls -d /usr /etc | xargs)"
END
timeout 380 lodge run --memory 512M --cpus 2 --share work=work -- bash "$PWD/job.sh" >out 2>err </dev/null &
vm=$!

ok "the guest is at work" wait_for 200 test -e work/ready
is "$(servers lodge-fsd | wc -l)" 2 "one server has its root, one its share"
rounds() {
	[ -e work/rounds ] && [ "$(wc -l <work/rounds)" -ge "$1" ]
}
for i in 1 2 3 4 5; do
	before=$(servers lodge-fsd)
	victims=$before
	[ "$i" -lt 4 ] || victims=$(for pid in $before; do with_keeper "$pid"; done)
	# shellcheck disable=SC2086 # several words
	kill -9 $victims
	# shellcheck disable=SC2317 # called through wait_for
	others() {
		local now
		now=$(servers lodge-fsd)
		[ "$(wc -l <<<"$now")" = 2 ] && ! grep -qxF "$before" <<<"$now"
	}
	ok "both were killed, two others go on ($i)" wait_for 30 others
	ok "the guest works" wait_for 60 kill -0 "$vm"
done
ok "a round of tar and fio with checks was done" wait_for 200 rounds 1
touch work/enough
status=0
wait "$vm" || status=$?
is "$status" 0 "all that it read and wrote was right"
like "$(cat out)" "the root is there: /etc /usr" "and programs start"
[ "$status" = 0 ] || sed 's/^/#   /' out err
