#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Programs that others wrote to find broken file systems, in a share: stress-ng's stressors with --verify, fio with
# checksums, fs_mark; and random calls against a model of the file. STRESS_SECONDS is how long stress-ng takes for each
# nine of its stressors. FS_BY is a program that runs the guest's command with the shares mounted another way.
# TIMEOUT: 600
# NEEDS: stress-ng fio fs_mark
# shellcheck source=tests/vm/lib.sh
. "$LIB"

mkdir work
cat >job <<'END2'
dmesg -C
"$TOP/tests/vm/fs/stress.sh" /mnt/lodge/work "${STRESS_SECONDS:-1}"
said=$(fs-random -n 2000 -s "${STRESS_SEED:-1}" /mnt/lodge/work/random) && said=ok
echo "fs-random: $said"
! dmesg | grep -E 'BUG|WARNING|Oops|Call Trace|hung' && echo "the guest's kernel: ok"
END2
lodge run --memory 512M --share work=work -- env TOP="$TOP" BUILD="$BUILD" ${FS_BY:+sh "$FS_BY"} bash "$PWD/job" >out 2>err </dev/null
is $? 0 "the guest ends well"
while IFS= read -r line; do
	is "${line#*: }" ok "${line%%: *}"
done <out
is "$(grep -c ': ' out)" 13 "all of them ran"
[ "$failures" = 0 ] || sed 's/^/#   /' err
