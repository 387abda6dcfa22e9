#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# outside.sh SUITE FOLDER TEST...: these of pjdfstest, a file or a folder of them, several at a time, each in a folder of
# its own below FOLDER. A line for each: "passes FILE CHECKS", or "fails FILE NUMBER WHICH" and what failed.

# one FILE: prints all that it has to say
one() {
	name=${1#"$suite/tests/"}
	here=$folder/$(echo "$name" | tr / _)
	said=$(mkdir "$here" && cd "$here" && sh "$1" 2>&1)
	rm -rf "$here"
	plan=$(echo "$said" | sed -n 's/^1\.\.\([0-9]*\).*/\1/p' | head -n 1)
	# But what the suite itself has marked as a difference of Linux.
	bad=$(echo "$said" | grep '^not ok' | grep -v '# TO[D]O')
	if [ -z "$plan" ] || [ "$(echo "$said" | grep -cE '^(not )?ok')" != "$plan" ]; then
		echo "fails $name all: it did not end
$(echo "$said" | tail -n 3)"
	elif [ -n "$bad" ]; then
		echo "fails $name $(echo "$bad" | wc -l) $(echo "$bad" | cut -d' ' -f3 | paste -sd,)
$(echo "$bad" | head -n 40)"
	else
		echo "passes $name $plan"
	fi
}

suite=$1
folder=$2
shift 2
if [ "${1:-}" = --one ]; then
	said=$(one "$2")
	# Not in the middle of another's.
	exec 9<"$suite"
	flock 9
	echo "$said"
	exit
fi
for test in "$@"; do
	if [ -d "$suite/tests/$test" ]; then
		ls "$suite/tests/$test"/*.t
	else
		echo "$suite/tests/${test%.t}.t"
	fi
done | xargs -P 8 -n 1 sh "$0" "$suite" "$folder" --one
