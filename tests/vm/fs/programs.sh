#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# programs.sh FOLDER SIZE [STAGE]...: real programs at work in FOLDER, the same wherever that is. Prints what came of it, in
# lines that depend on nothing else: whoever runs it on two file systems compares them. SIZE 1 is small, 20 large.
# STAGEs are git, tar, sqlite, dpkg, cc, tree: all, if none is named.
set -u
folder=$1
size=${2:-1}
shift 2
export LC_ALL=C TZ=UTC HOME=$folder GIT_CONFIG_NOSYSTEM=1 SOURCE_DATE_EPOCH=1600000000
umask 022
cd "$folder" || exit

# tree FOLDER: kinds, modes, links, and a digest of all content
tree() {
	[ -d "$1" ] || { echo "none"; return; }
	(
		cd "$1" || exit
		# Sizes of folders are the file system's own matter.
		find . -path ./.git -prune -o \( -type d -printf '%p %y %m %n\n' -o -printf '%p %y %m %n %s %l\n' \) |
			sort | sha256sum | cut -c1-16
		find . -path ./.git -prune -o -type f -print0 | sort -z | xargs -0 cat | sha256sum | cut -c1-16
	) | tr '\n' ' '
}

# files FOLDER COUNT WORDS: in folders of 40, the content from their number
files() {
	local i dir
	for ((i = 0; i < $2; i++)); do
		if ((i % 40 == 0)); then
			dir=$1/d$((i / 400))/e$((i / 40))
			mkdir -p "$dir"
		fi
		printf '%s %d\n' "$3" $((i * 7919)) "$3" $((i % 13)) >"$dir/file-$i.txt"
	done
}

use_git() {
	local n=$((100 * size))
	export GIT_AUTHOR_DATE='1600000000 +0000' GIT_COMMITTER_DATE='1600000000 +0000'
	rm -rf repo
	git init -q -b main repo
	cd repo || return
	git config user.name A && git config user.email a@example.org && git config gc.auto 0
	files src $n one
	ln -s src/d0 link
	printf '#!/bin/sh\n' >run.sh && chmod 755 run.sh
	git add . && git commit -qm first
	git checkout -q -b other
	files src $((n / 4)) two
	git rm -q -r -f src/d0/e1 && mkdir lib && git mv src/d0/e0 lib/e0
	git add . && git commit -qm second
	echo "git: $(git rev-parse HEAD) $(git status --porcelain | wc -l) $(tree .)"
	git checkout -q main
	echo "git main: $(git status --porcelain | wc -l) $(tree .)"
	git checkout -q other && git merge -q --no-edit main
	git gc -q
	[ "$size" = 1 ] || git repack -q -a -d
	git fsck --strict 2>&1 | sed 's/^/git fsck: /'
	echo "git end: $(git status --porcelain | wc -l) $(git rev-list --objects --all | wc -l) $(tree .)"
	rm -rf link && git checkout -q . && echo "git checkout: $(tree .)"
	if [ "$size" != 1 ]; then
		git clone -q . ../clone && git -C ../clone fsck && echo "git clone: $(tree ../clone)"
	fi
	cd .. && rm -rf clone
}

use_tar() {
	rm -rf tree copy
	mkdir -p tree/many
	files tree/many $((50 * size)) tar
	ln tree/many/d0/e0/file-0.txt tree/hard
	ln -s many/d0 tree/soft && ln -s /nowhere tree/dangling
	mkfifo tree/fifo
	mkdir -m 1777 tree/sticky && touch -d @1234567890.123456789 tree/sticky/old
	printf 'x' >tree/sparse && truncate -s 5M tree/sparse && printf 'y' >>tree/sparse
	: >tree/$'new\nline' && : >"tree/$(printf 'n%.0s' {1..255})"
	chmod 4750 tree/many/d0/e0/file-1.txt && chown 1234:4321 tree/many/d0/e0/file-2.txt 2>/dev/null
	tar --sparse --numeric-owner -cf all.tar -C tree .
	mkdir copy
	tar --numeric-owner -xpf all.tar -C copy
	tar --compare --numeric-owner -f all.tar -C copy && echo "tar: the same"
	echo "tar: $(tree copy) $(stat -c '%Y %y' copy/sticky/old) $(stat -c '%h %u %g' copy/hard copy/many/d0/e0/file-2.txt | tr '\n' ' ')"
	cp -a copy copy2 && diff -r --no-dereference -x fifo copy copy2 && echo "cp -a: the same, $(tree copy2)"
	rm -rf copy2
}

# A writer that says on its standard output what is committed.
sqlite_writer() {
	local i
	for ((i = 0; i < $2; i++)); do
		echo "BEGIN IMMEDIATE; INSERT INTO t(who, n, blob) VALUES('$1', $i, randomblob(3000)); UPDATE sum SET n = n + 1; COMMIT;"
		echo "SELECT $i;"
	done | sqlite3 -cmd '.timeout 30000' base.db
}

use_sqlite() {
	local mode n=$((8 * size)) pid rows sum
	for mode in delete wal $([ "$size" = 1 ] || echo truncate persist); do
		rm -f base.db*
		sqlite3 base.db "PRAGMA journal_mode=$mode; CREATE TABLE t(id INTEGER PRIMARY KEY, who, n, blob);
			CREATE TABLE sum(n); INSERT INTO sum VALUES(0); CREATE INDEX i ON t(who, n);" >/dev/null
		sqlite_writer a $n >said.a &
		sqlite_writer b $n >said.b &
		wait
		echo "sqlite $mode: $(sqlite3 base.db 'SELECT count(*), count(DISTINCT who || n) FROM t; SELECT n FROM sum; PRAGMA integrity_check;' | tr '\n' ' ')"
	done
	for mode in delete wal; do
		rm -f base.db*
		sqlite3 base.db "PRAGMA journal_mode=$mode; CREATE TABLE t(id INTEGER PRIMARY KEY, who, n, blob);
			CREATE TABLE sum(n); INSERT INTO sum VALUES(0);" >/dev/null
		: >said.a
		sqlite_writer a 100000 >said.a 2>/dev/null &
		pid=$!
		sqlite_writer b $n >said.b &
		until [ "$(wc -l <said.a)" -ge $n ]; do sleep 0.05; done
		# The writer's sqlite3, and then the shell that feeds it; of whose end this one may or may not speak.
		pkill -KILL -P $pid -x sqlite3
		{
			kill -KILL $pid
			wait
		} 2>/dev/null
		rows=$(sqlite3 base.db "SELECT count(*) FROM t WHERE who = 'a'")
		sum=$(sqlite3 base.db 'SELECT n - (SELECT count(*) FROM t) FROM sum')
		[ "$rows" -ge "$(grep -c . said.a)" ] && echo "sqlite $mode, killed: what was committed is there, sum off by $sum"
		echo "sqlite $mode, killed: $(sqlite3 base.db "SELECT count(*) FROM t WHERE who = 'b'; PRAGMA integrity_check; VACUUM; PRAGMA integrity_check" | tr '\n' ' ')"
	done
	rm -f base.db* said.*
}

package() {
	rm -rf pkg && mkdir -p pkg/DEBIAN pkg/usr/share/demo pkg/etc pkg/usr/bin
	printf 'Package: demo\nVersion: %s\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: demo\n' "$1" >pkg/DEBIAN/control
	echo /etc/demo.conf >pkg/DEBIAN/conffiles
	echo "conf" >pkg/etc/demo.conf
	files pkg/usr/share/demo $((20 * size)) "version $1"
	printf '#!/bin/sh\necho %s\n' "$1" >pkg/usr/bin/demo && chmod 4755 pkg/usr/bin/demo
	ln -s demo pkg/usr/bin/demo-link
	[ "$1" = 1 ] && echo old >pkg/usr/share/demo/only-in-1
	dpkg-deb --root-owner-group -b pkg "demo-$1.deb" >/dev/null
}

use_dpkg() {
	local admin=root/var/lib/dpkg
	rm -rf root && mkdir -p $admin/info $admin/updates $admin/triggers root/tmp && : >$admin/status && : >$admin/available
	package 1 && package 2
	for step in '-i demo-1.deb' '-i demo-2.deb' '-r demo' '-P demo'; do
		# shellcheck disable=SC2086 # words
		dpkg --root="$PWD/root" --log=/dev/null --force-not-root --force-script-chrootless $step >out 2>&1 ||
			sed "s/^/dpkg $step: /" out
		rm -f out
		echo "dpkg $step: $(grep -c . $admin/status) $(tree root/usr) $(tree root/etc) $(find $admin -name '*demo*' | wc -l)"
	done
	rm -rf root pkg demo-?.deb
}

use_cc() {
	local i n=$((2 * size))
	rm -rf build && mkdir build
	for ((i = 0; i < n; i++)); do
		echo "#include \"all.h\"
		int f$i(int x) { return x * $i + TWO; }" >build/f$i.c
	done
	echo '#define TWO 2' >build/all.h
	{
		seq -f 'int f%.0f(int);' 0 $((n - 1))
		echo 'int puts(const char *); int main(void) { int x = 1;'
		seq -f 'x = f%.0f(x);' 0 $((n - 1))
		echo 'puts("built"); return x == -1; }'
	} >build/main.c
	cat >build/Makefile <<'MAKE'
objs := $(patsubst %.c,%.o,$(sort $(wildcard *.c)))
prog: libf.a main.o ; $(CC) -o $@ main.o libf.a
libf.a: $(filter-out main.o,$(objs)) ; $(AR) rcD $@ $^
%.o: %.c all.h ; $(CC) -O1 -c -o $@ $<
MAKE
	make -s -C build && ./build/prog
	# The linker writes into a mapping or not, as the file system lets it.
	echo "cc: $(sha256sum <build/prog | cut -c1-16) $(sha256sum <build/libf.a | cut -c1-16)"
	make -s -C build -q && echo "make: nothing to do"
	touch build/f1.c && make -C build -n | grep -c -- -o
	rm -rf build
}

use_tree() {
	local n=$((250 * size))
	rm -rf node_modules moved
	files node_modules $n package
	echo "tree: $(find node_modules -type f | wc -l) $(tree node_modules)"
	tar --sort=name --mtime=@0 --numeric-owner -cf - node_modules | sha256sum | sed 's/^/tree, archived: /'
	git init -q -b main node_modules && git -C node_modules add .
	echo "tree, in git: $(git -C node_modules write-tree) $(git -C node_modules status --porcelain | wc -l)"
	find node_modules -name '*3.txt' -exec sh -c 'for file; do echo more >>"$file"; done' sh {} +
	echo "tree, changed: $(git -C node_modules status --porcelain | grep -c '^AM')"
	mv node_modules moved && echo "renamed: $(tree moved)"
	find moved -name '*7.txt' -delete && echo "fewer: $(find moved -type f | wc -l)"
	rm -r moved && echo "gone: $(find . -path '*moved*' | wc -l)"
}

[ $# -gt 0 ] || set -- git tar sqlite dpkg cc tree
for stage; do
	began=$SECONDS
	"use_$stage"
	echo "# $stage: $((SECONDS - began)) s" >&2
done
