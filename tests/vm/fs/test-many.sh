#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# 100,000 files in one folder: the guest lists each of them once, opens the last, adds to them and takes away.
# (The server alone makes and removes as many in tests/unit/fsd_many.c; fs-conform's full-folder does it from
# the guest, unless told otherwise: many minutes in the lab.)
# TIMEOUT: 240
# NEEDS: lodge
# shellcheck source=tests/vm/lib.sh
. "$LIB"

n=100000
mkdir -p work/many
(cd work/many && seq -f 'file-%06g' $n | xargs touch)
echo last >work/many/file-$n

cat >job.sh <<'END'
cd /mnt/lodge/work/many || exit
seq -f 'file-%06g' "$1" >/tmp/wanted
ls -U | LC_ALL=C sort | cmp - /tmp/wanted && echo "listed: each once"
cat "file-$1"
ls -U | wc -l
for i in $(seq 200); do echo "$i" >"new-$i"; done
rm file-0000* && ls -U | wc -l
END
status=0
timeout 220 lodge run --memory 512M --share work=work -- bash "$PWD/job.sh" $n >out 2>err </dev/null || status=$?
is "$status" 0 "the guest ends by itself"
like "$(cat out)" "listed: each once" "it sees every name once"
is "$(sed -n 2p out)" last "and reads the last file"
is "$(sed -n 3p out)" $n "the second listing has as many"
is "$(sed -n 4p out)" $((n + 200 - 99)) "files that it made and removed count"
is "$(find work/many -type f | wc -l)" $((n + 200 - 99)) "and the host counts the same"
[ "$failures" = 0 ] || sed 's/^/#   /' out err
