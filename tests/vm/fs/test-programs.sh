#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# git, tar, sqlite, dpkg, a compiler and trees of many small files: in a share and on the host's own file system
# the same comes of it, and what they leave in the share is whole to the host's programs. PROGRAMS_SIZE=20 in the
# environment is the large run (2,000 files in git, 1,000 in the archive, 5,000 in the tree); PROGRAMS names the stages.
# FS_BY is a program that runs the guest's command with the shares mounted another way.
# TIMEOUT: 600
# NEEDS: git tar sqlite3 dpkg dpkg-deb gcc make
# shellcheck source=tests/vm/lib.sh
. "$LIB"

size=${PROGRAMS_SIZE:-1}
read -ra stages <<<"${PROGRAMS:-}"
mkdir own share
"$TOP/tests/vm/fs/programs.sh" "$WORK/own" "$size" "${stages[@]}" >own.out 2>own.err
is "$(grep -v '^# ' own.err)" "" "the host's own run has no complaint"
ok "and says enough" test "$(grep -c : own.out)" -ge $((${#stages[@]} ? 1 : 20))

run lodge run --memory 512M --share work=share -- env TOP="$TOP" BUILD="$BUILD" ${FS_BY:+sh "$FS_BY"} bash "$TOP/tests/vm/fs/programs.sh" /mnt/lodge/work "$size" "${stages[@]}"
is "$status" 0 "the guest ends well"
printf '%s\n' "$err" | sed 's/^/#   /'
# One check for each line, so that it is seen which program it was.
while IFS= read -r line; do
	if grep -qxF "$line" <<<"$out"; then
		pass "as on the host: ${line%%: *}"
	else
		fail "as on the host: ${line%%: *}" "host:  $line" "guest: $(grep -F "${line%%: *}: " <<<"$out")"
	fi
done <own.out
is "$(wc -l <<<"$out")" "$(wc -l <own.out)" "and nothing else"

# has STAGE: whether it is among those to run
has() {
	[ ${#stages[@]} = 0 ] || [[ " ${stages[*]} " = *" $1 "* ]]
}
# Another owner of the folder must not keep git from looking.
if has git; then
	ok "git fsck, by the host" git -c safe.directory="*" -C share/repo fsck --strict
	run git -c safe.directory="*" -C share/repo status --porcelain
	is "$status:$out" "0:" "its work tree is clean"
fi
! has tar || ok "tar --compare, by the host" tar --compare --numeric-owner -f share/all.tar -C share/copy
ok "the same files as in the host's own" diff -r --no-dereference -x .git -x fifo -x all.tar own share
