# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the static tests share: the list of files under test, and one way to complain and to end.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
bad=0

# sources PATTERN...: the tree's files, tracked or new, that match
sources() {
	git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
		[ -f "$file" ] && printf '%s\n' "$file"
	done
}

complain() {
	printf '%s\n' "$*" >&2
	bad=1
}

finish() {
	exit "$bad"
}
