#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Shared folders that come and go while a VM runs, as an ordinary user: there without a step in the guest, gone
# without a hang, kept in vm.conf, there again after a restart and a reboot; owners, masks and odd names.
# TIMEOUT: 400
# USER: ordinary
# NEEDS: lodge
# shellcheck source=tests/vm/lib.sh
. "$LIB"

toolbox=$BUILD/bin/lodge-toolbox
adding=()
mkdir docs later masked
echo one >docs/one
echo late >later/file
printf '#!/bin/sh\necho it runs\n' >later/run
chmod 755 later/run
echo x >masked/file
chmod 755 masked/file

# inside VM COMMAND: in the guest, as root; both streams
inside() {
	timeout -k 5 60 lodge exec "$1" -- sh -c "$2" 2>&1 </dev/null
}

no_tools() {
	lodge info ./box | grep -q 'TOOLS *none'
}

now_ms() {
	echo $(($(date +%s%N) / 1000000))
}

# ---- a throw-away VM ----

# With the hardware of a VM that is kept: without, a reset takes Linux minutes in the lab.
lodge run --name seed --memory 384M --set device.legacy=yes -- sleep 600 >seed.log 2>&1 </dev/null &
seed=$!
ok "a throw-away VM starts" wait_for 60 lodge info seed
ok "and has its tools" lodge wait --timeout 120 seed tools
ok "it gets a share" lodge share add seed "docs=$PWD/docs"
run lodge share add seed "later=$PWD/later"
is "$status:$err" 0: "and another"
is "$(inside seed 'cd /mnt/lodge && echo * && cat docs/one later/file' | tr '\n' ' ')" "docs later one late " \
	"the guest has both"
like "$(lodge share list seed)" "later +rw +$PWD/later" "the list has it"
refuses "a name is taken once" "there is a share 'later' already; remove it first" lodge share add seed "later=$PWD/docs"
refuses "a file is no share" "no folder" lodge share add seed "f=$PWD/docs/one"
refuses "nor is a name with a bracket" "without /, . and .," lodge share add seed "a[b=$PWD/docs"
refuses "a mask is to base 8" "to base 8" lodge share add --mask 9 seed "m=$PWD/docs"
refuses "an unknown owner is named" "'root' will not do; say user, exact" lodge share add --owner root seed "m=$PWD/docs"
ok "it goes" lodge share remove seed later
is "$(inside seed 'ls /mnt/lodge')" docs "also in the guest"
refuses "and goes once" "no share" lodge share remove seed later

# What it was made of is a VM like any other, without its command's streams.
mkdir box
cp "$XDG_RUNTIME_DIR/lodge/seed/vm/vm.conf" "$XDG_RUNTIME_DIR/lodge/seed/vm/initrd" box/
lodge kill seed
wait "$seed"
sed -i -e 's/^on-reset=stop/on-reset=restart/' -e 's/^backend=file:.*/backend=file:serial.log/' \
	-e 's/^backend=fd:-1.*/backend=file:out.log/' -e 's,^backend=fd:.*,backend=file:ports.log,' box/vm.conf
is "$(lodge share list ./box | wc -l)" 1 "it has no shares of its own"
ok "a share of a VM that is off comes" lodge share add ./box "docs=$PWD/later"
ok "and goes" lodge share remove ./box docs
ok "and comes" lodge share add ./box "docs=$PWD/docs" --read-only
for i in 1 2 3 4 5 6 7 8; do lodge share add ./box "at$i=$PWD/later" & adding[i]=$!; done
wait "${adding[@]}"
is "$(lodge share list ./box | grep -c ' rw ')" 8 "eight at the same moment all come"
for i in 1 2 3 4 5 6 7 8; do lodge share remove ./box "at$i" & adding[i]=$!; done
wait "${adding[@]}"
is "$(lodge share list ./box | grep -c ' rw ')" 0 "and go"
printf '\n# the last words\n' >>box/vm.conf
cp box/vm.conf before.conf

# ---- one that is kept ----

ok "start" lodge start ./box
ok "its tools come" lodge wait --timeout 120 ./box tools
inside ./box 'until [ -e /mnt/lodge/later/file ]; do sleep 0.01; done; cat /mnt/lodge/later/file' >seen &
watcher=$!
sleep 1 # the guest looks for it by then; if not, the time below is only shorter
begin=$(now_ms)
ok "add" lodge share add ./box "later=$PWD/later"
added=$(now_ms)
wait "$watcher"
echo "# $((added - begin)) ms for lodge share add, $(($(now_ms) - added)) ms behind it until a program of the guest has seen it and ended"
is "$(cat seen)" late "the guest sees it, with no step of its own"
like "$(inside ./box 'cat /proc/mounts; id')" "lodge /mnt/lodge virtiofs rw,nosuid,nodev" "mounted whole, without devices"
is "$(inside ./box 'echo back >/mnt/lodge/later/back; stat -c "%u:%g %a" /mnt/lodge/later/back /mnt/lodge/later/file' | tr '\n' ' ')" \
	"1000:1000 644 1000:1000 644 " "files are the guest's first user's"
is "$(cat later/back; stat -c %u later/back)" "back
$(id -u)" "and ours here"
is "$(inside ./box '/mnt/lodge/later/run; chmod 750 /mnt/lodge/later/back; stat -c %a /mnt/lodge/later/run /mnt/lodge/later/back' | tr '\n' ' ')" \
	"it runs 755 750 " "programs of ours run"
is "$(stat -c %a later/back; chmod 644 later/back)" 750 "and what the guest makes one is one here"
like "$(inside ./box 'echo x >/mnt/lodge/docs/new; echo y >>/mnt/lodge/docs/one; rm /mnt/lodge/docs/one; cat /mnt/lodge/docs/one')" \
	"Read-only file system.*Read-only file system.*Read-only file system.*one" "a read-only share is"
ok "a mask" lodge share add ./box "masked=$PWD/masked" --file-mask 0111 --dir-mask 0077
is "$(inside ./box 'stat -c %a /mnt/lodge/masked /mnt/lodge/masked/file; chmod 600 /mnt/lodge/masked/file' | tr '\n' ' ')" \
	"700 644 " "hides bits"
is "$(stat -c %a masked/file)" 711 "and spares them"
ok "another read-only one" lodge share add ./box "sealed=$PWD/later:ro"
ok "is so for open(2), too" wait_for 10 inside ./box 'grep -q " /mnt/lodge/sealed virtiofs ro" /proc/mounts'
ok "it goes" lodge share remove ./box sealed
ok "and comes for writing" lodge share add ./box "sealed=$PWD/later"
ok "which the guest can" wait_for 10 inside ./box 'echo sealed >/mnt/lodge/sealed/sealed'
ok "and goes" lodge share remove ./box sealed
long=$(printf 'n%.0s' {1..255})
for name in 'two words' 'ä ö €' "$long" 'b%20c' "it's"; do
	ok "the name '${name:0:20}'" lodge share add ./box "$name=$PWD/later"
done
is "$(inside ./box "cat '/mnt/lodge/two words/back' '/mnt/lodge/ä ö €/back' /mnt/lodge/$long/back | sort -u")" back "odd names lead to their files"
like "$(inside ./box "$toolbox share")" "at /mnt/lodge by virtiofs, rung 1; health: ok.*docs +ro +/mnt/lodge/docs" \
	"lodge-toolbox tells of them"
is "$(inside ./box "$toolbox share --json" | python3 -c 'import json, sys; d = json.load(sys.stdin)
print(len(d["shares"]), [s["path"] for s in d["shares"] if s["read_only"]], d["transport"])')" "8 ['/mnt/lodge/docs'] virtiofs" "in JSON, too"
like "$(lodge info ./box)" "shares +/mnt/lodge by virtiofs" "and lodge info does"

# ---- links ----

inside ./box 'printf "[guest-ops]\nallow-exec=root\n[shares]\nlinks=hgfs,sf\n" >/run/lodge-init/tools.conf' >/dev/null
ok "links are made when tools.conf says so" wait_for 10 inside ./box '[ -e /media/sf_later/file ] && [ -e /mnt/hgfs/later/file ]'
inside ./box 'rm /media/sf_masked; mkdir /media/sf_masked' >/dev/null

# ---- removal with open files ----

inside ./box 'exec 2>&1; cd /mnt/lodge/later; exec 3<>file; echo open; head -c 1 <&3 >/dev/null
until [ ! -e /mnt/lodge/later/file ]; do sleep 0.05; done
sleep 1.1 # what is open may be a second old
head -c 1 <&3; echo x >&3; ls .; stat file; echo over' >removal &
watcher=$!
ok "a guest has a file open" wait_for 30 grep -q open removal
begin=$(now_ms)
ok "its share goes" lodge share remove ./box later
wait "$watcher"
echo "# $(($(now_ms) - begin)) ms until all of it had failed"
like "$(cat removal)" "Stale file handle.*Stale file handle.*Stale file handle.*over" "what is open is stale, and nobody hangs"
ok "its link goes, what is not ours stays" wait_for 10 inside ./box '[ ! -L /media/sf_later ] && [ -d /media/sf_masked ]'
# shellcheck disable=SC2016 # the guest's i
is "$(inside ./box 'sed -i /links/d /run/lodge-init/tools.conf; i=0; while [ -L /mnt/hgfs ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i + 1)); done
ls /media; [ -L /mnt/hgfs ] || echo none' | tr '\n' ' ')" "sf_masked none " "all of them go when tools.conf does not say so"

# ---- a server that hangs ----

fsd=$(pgrep -u "$(id -u)" -f 'lodge-fsd --fd=3 --control-fd=4' | while read -r pid; do
	tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -e --export || echo "$pid"
done)
for pid in $fsd; do kill -STOP "$pid"; done
run timeout 20 lodge exec ./box -- "$toolbox" share
like "$status:$out" "^75:.*does not answer" "a server that hangs is told of, in time"
ok "and lodged serves on" timeout 20 lodge exec ./box -- true
for pid in $fsd; do kill -CONT "$pid"; done
ok "it goes on" wait_for 20 inside ./box "$toolbox share"

# ---- vm.conf, restart, reboot ----

for name in 'two words' 'ä ö €' "$long" 'b%20c' "it's"; do
	lodge share remove ./box "$name"
done
ok "the last of them goes" lodge share remove ./box masked
ok "vm.conf is as it was, byte by byte" cmp before.conf box/vm.conf
ok "and gets one more" lodge share add ./box "later=$PWD/later"
inside ./box 'echo 1 >/proc/sys/kernel/sysrq; echo b >/proc/sysrq-trigger' >/dev/null
ok "after a reboot" wait_for 30 no_tools
ok "the tools come again" lodge wait --timeout 120 ./box tools
is "$(inside ./box 'echo /mnt/lodge/*; cat /mnt/lodge/later/file' | tr '\n' ' ')" "/mnt/lodge/docs /mnt/lodge/later late " "with all shares"
ok "kill" lodge kill ./box
ok "start" lodge start ./box
ok "tools" lodge wait --timeout 120 ./box tools
is "$(inside ./box 'cat /mnt/lodge/later/file')" late "after a restart the share is there"
lodge kill ./box
