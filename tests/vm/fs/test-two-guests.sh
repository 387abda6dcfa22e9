#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# One folder of the host in two guests at once (T17 of the reliability tests), and in use on the host: twelve programs on the
# same few names. Nothing is made or removed twice, lost, torn, or wrongly refused, and the servers live.
# TIMEOUT: 300
# NEEDS: lodge python3 mkfs.ext4 losetup
# shellcheck source=tests/vm/lib.sh
. "$LIB"

# On ext4, which gives the number of a file that was removed to the next one, and has attributes.
[ "$(id -u)" = 0 ] || skip "mounting a file system takes root"
truncate -s 256M image
mkfs.ext4 -q -F image
mkdir fs
modprobe -a loop ext4 2>/dev/null
mount -o loop image fs || skip "no loop device here"
trap 'code=$?; umount -l fs; end_scenario $code' EXIT
mkdir -p fs/work/{a,b}
touch fs/work/a/t{0..3} fs/work/log

race=$TOP/tests/vm/fs/race.py
guests=()
for who in one two; do
	timeout 250 lodge run --memory 384M --share work=fs/work -- python3 -B "$race" /mnt/lodge/work $who 3 "${RACE_SECONDS:-30}" \
		>$who.out 2>$who.err </dev/null &
	guests+=($!)
done
timeout 250 python3 -B "$race" fs/work host 3 "${RACE_SECONDS:-30}" >host.out 2>host.err &
host=$!
ready() {
	[ -e fs/work/ready.one ] && [ -e fs/work/ready.two ]
}
ok "two guests begin" wait_for 150 ready
wait $host
is $? 0 "the host's programs end"
for i in 0 1; do
	vm=${guests[i]}
	wait "$vm"
	is $? 0 "and a guest's"
done
cat >sum.py <<'END2'
import json, os
rows = [json.loads(line) for who in ("one", "two", "host") for line in open(who + ".out")]
print(len(rows), "programs")
print("wrong", [wrong for row in rows for wrong in row["wrong"]][:10])
for n in range(4):
    made, removed = (sum(row[word][n] for row in rows) for word in ("made", "removed"))
    print(f"e{n}", made - removed - os.path.exists(f"fs/work/e{n}"))
print("tokens", sorted(os.listdir("fs/work/a") + os.listdir("fs/work/b")))
lines = open("fs/work/log").read().splitlines()
print("lines", len(lines) - sum(row["appended"] for row in rows), len(lines) - len(set(lines)), {len(line) for line in lines})
print("#", {word: sum(row[word] for row in rows) for word in ("moved", "appended", "whole", "done")})
END2
python3 -B sum.py >sum
is "$(grep -v '^#' sum)" "12 programs
wrong []
e0 0
e1 0
e2 0
e3 0
tokens ['t0', 't1', 't2', 't3']
lines 0 0 {31}" "nothing is made, moved, removed or appended twice, or lost; and every file is whole"
grep '^#' sum
keep sum two-guests.log
is "$(cat one.err two.err | grep -cE 'the new server|KVM_RUN')" 0 "no server had to be started again"
[ "$failures" = 0 ] || sed 's/^/#   /' ./*.err
umount fs
trap 'end_scenario $?' EXIT
