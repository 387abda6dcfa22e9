#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What POSIX and Linux say of files, on a share, while its server is killed now and then.
# TIMEOUT: 400
# NEEDS: lodge
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/fs/servers.sh
. "$TOP/tests/vm/fs/servers.sh"

mkdir work
timeout 380 lodge run --memory 512M --share work=work -- "$BUILD/guest/fs-conform" -n 3000 /mnt/lodge/work \
	>out 2>err </dev/null &
vm=$!

ok "the guest is at work" wait_for 200 grep -q '^ok' out
kills=0
while kill -0 "$vm" 2>/dev/null; do
	pid=$(servers share=work)
	[ -n "$pid" ] && kill -9 "$pid" 2>/dev/null && kills=$((kills + 1))
	sleep 0.5 # the pace
done
status=0
wait "$vm" || status=$?
is "$status" 0 "every case passed"
[ "$status" = 0 ] || grep -v '^ok' out err | sed 's/^/#   /'
ok "and the server was killed over some of them" test "$kills" -gt 3
is "$(ls -A work)" "" "nothing is left"
