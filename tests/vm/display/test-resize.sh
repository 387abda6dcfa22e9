#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest with the in-box virtio-gpu driver: its console and a test card on screenshots, pixel by pixel; sizes by
# `lodge resize`, each read back in the guest and on the screenshot; two screens; a storm of sizes; windows that die.
# TIMEOUT: 240
# USER: ordinary
# NEEDS: lodge card-draw card-check convert python3
# shellcheck source=tests/vm/lib.sh
. "$LIB"

socket=$XDG_RUNTIME_DIR/lodge/box/display.sock
window=$TOP/tests/vm/display/window.py

# head SCREEN KEY: of `lodge info`
head() {
	lodge info --json box | python3 -c "import json, sys; print(json.load(sys.stdin)['screens'][$1 - 1]['$2'])"
}

# card SCREEN SIZE: the screenshot is the card, of that size.
card() {
	lodge screenshot --head "$1" box shot.png && [ "$(card-check shot.png "$1")" = "$2" ]
}

descriptors() {
	find "/proc/$monitor/fd" | wc -l
}

mkdir job
cat >job/job.sh <<'END'
modprobe virtio_gpu
until [ -e /dev/fb0 ]; do sleep 0.1; done
dmesg -n 1
printf '\033[?25l\033[44m\033[2J' >/dev/tty1
touch /mnt/lodge/job/console
until [ -e /mnt/lodge/job/go ]; do sleep 0.1; done
exec card-draw
END
lodge run --name box --memory 384M --set display.heads=2 --share "job=$PWD/job" -- sh /mnt/lodge/job/job.sh \
	>run.out 2>run.err </dev/null &
vm=$!
wait_for 60 test -e job/console || fail "the guest's console is there" "$(cat run.err)"
monitor=$(lodge list --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["pid"])')

# --- the console ---
ok "a screenshot of the console" lodge screenshot box console.png
is "$(convert console.png -format '%wx%h %k %[hex:p{500,400}]' info:)" "1024x768 1 0000AA" "is blue all over"
ok "by standard output, too" sh -c 'lodge screenshot box - >other.png && cmp console.png other.png'
is "$(head 1 source) $(head 2 want_width)" "gpu 1024" "what it shows, and what the other one should"
ok "smaller: the console follows by itself" lodge resize box 801x601
ok "and back" lodge resize box 1024x768

# --- the card ---
touch job/go
wait_for 20 grep -q ready run.out || fail "the card is drawn" "$(cat run.err)"
for screen in 1 2; do
	ok "screen $screen: every pixel" card $screen 1024x768
done

# --- sizes ---
exact=0 wrong=''
sizes='320x200 321x201 322x203 323x333 333x222 335x255 337x269 341x203 347x211 351x251 359x201 360x240 367x239 373x257
	383x217 384x288 395x255 400x300 401x299 417x259 431x231 447x253 463x207 480x272 499x201 511x219 512x255 513x257
	640x480 801x601 1001x701 1367x767'
for size in $sizes; do
	said=$(lodge resize box "$size" 2>&1) && card 1 "$size" && grep -qx "1 $size" run.out && exact=$((exact + 1)) ||
		wrong+=" $size $said"
done
is "$exact$wrong" 32 "32 sizes: the guest's mode and every pixel of the screenshot"
is "$(head 1 want_width)x$(head 1 height)" 1367x767 "the last of them counts"
modes=$(head 1 mode_sets)
ok "the same size again" lodge resize box 1367x767
is "$(head 1 mode_sets)" "$modes" "sets no mode"

# --- two screens ---
ok "the second one alone" lodge resize box 641x333@2
ok "its pixels" card 2 641x333
ok "and the first one's" card 1 1367x767
ok "off" lodge resize box off@2
refuses "no screenshot of what is off" 'screen 2 is off' lodge screenshot --head 2 box off.png
ok "on again" lodge resize box 500x400@2
ok "without waiting" lodge resize --no-wait box 640x400@2
ok "it comes" wait_for 10 card 2 640x400

# --- what cannot be ---
refuses "too small" '320x200 is the least' lodge resize box 319x200
refuses "too large for the memory" 'display.memory' lodge resize box 8000x4000
refuses "no size" 'is no size' lodge resize box 800
refuses "no such screen" 'has no screen 3' lodge resize box 800x600@3
refuses "no screen of that number" 'there is no screen' lodge resize box 800x600@17
refuses "the first one is always on" 'always on' lodge resize box off
is "$(head 1 width)x$(head 1 height)" 1367x767 "nothing of it changed anything"

# --- windows that misbehave ---
before=$(descriptors)
modes=$(head 1 mode_sets)
start=$(date +%s%N)
last=$(python3 "$window" "$socket" storm)
ok "10,000 sizes at once end at the last one" wait_for 20 card 1 "$last"
most=$((($(date +%s%N) - start) / 100000000 + 2))
said=$(($(head 1 mode_sets) - modes))
ok "with at most 10 mode sets a second ($said, $most would be)" test "$said" -le "$most"
for _ in 1 2 3; do
	python3 "$window" "$socket" die 2>/dev/null
	python3 "$window" "$socket" babble
done
ok "windows that die in a frame and that babble do no harm" card 1 "$last"
ok "and leave nothing behind" wait_for 5 test "$(descriptors)" -le "$before"
like "$(cat "$XDG_RUNTIME_DIR/lodge/box/vmm.log")" 'does not keep to the protocol' "the log tells of it"
ok "sizes follow as before" lodge resize box 640x480
is "$(head 1 windows)" 0 "nobody looks"
frames=$(head 1 frames)
is "$(head 1 frames)" "$frames" "and nothing is copied"

lodge kill box >/dev/null
wait $vm

# --- a VM without a screen ---
lodge run --name blind --memory 384M -- sleep 1000 >/dev/null 2>&1 </dev/null &
vm=$!
ok "a VM without a screen" wait_for 60 lodge info blind
refuses "has nothing to shoot" 'has no screen; lodge set blind display.heads=1' lodge screenshot blind x.png
refuses "nothing to resize" 'has no screen' lodge resize blind 800x600
refuses "and nothing to view" 'has no screen' lodge view blind
lodge kill blind >/dev/null
wait $vm || true
