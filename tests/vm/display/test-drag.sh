#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A hand drags the window's corner, under a window manager, over a guest: after each drag the guest's mode, what the
# guest itself says of it, and every pixel of the host's window. DRAG_SIZES says how many sizes, DRAG_FROM which is the
# first, and DRAG_GUEST what runs in the guest: session (Xorg with a window manager and lodge-session, in-box driver),
# session-module (the same on lodge_display), console (the text console, which lodged sets) or console-module. For 200:
#   SCENARIO_TIMEOUT=1500 DRAG_SIZES=200 make check-vm T=display/drag
# TIMEOUT: 400
# NEEDS: lodge lodge-view lodge-session Xvfb Xorg xrandr openbox xdotool card-x setfont perl
# shellcheck source=tests/vm/lib.sh
. "$LIB"

sizes=${DRAG_SIZES:-8} from=${DRAG_FROM:-1} guest=${DRAG_GUEST:-session}
last=$((from + sizes - 1))
# All differ, odd ones and even ones. The console of the in-box driver does not grow beyond its first size.
limit_x=781 limit_y=601
[ "$guest" != console ] || limit_x=701 limit_y=567
module=''
[[ $guest != *-module ]] || module=$BUILD/modules/$guest_version/lodge_display.ko
font=/usr/share/consolefonts/Lat15-VGA16.psf.gz

inside() {
	lodge exec box -- env DISPLAY=:0 XDG_RUNTIME_DIR=/run/user/0 "$@" </dev/null
}

# Sets screen_width, screen_height and screen_mode_sets to what `lodge info` says of the first screen.
screen_width=0 screen_height=0 screen_mode_sets=0
look() {
	eval "$(lodge info --json box | sed -n 's/^.*"\(width\|height\|mode_sets\)" : \([0-9]*\).*$/screen_\1=\2/p' | head -n 3)"
}

# drag_to SIZE: by the lower right corner of the frame, in three steps at a hand's pace: the window manager decides
# between a click and a drag by what it sees in between.
drag_to() {
	local X=0 Y=0 WIDTH=0 HEIGHT=0 x y dx dy
	eval "$(card-x place "$window")"
	x=$((X + WIDTH - 2)) y=$((Y + HEIGHT + 2))
	dx=$((${1%x*} - WIDTH)) dy=$((${1#*x} - HEIGHT))
	xdotool mousemove $x $y mousedown 1 sleep 0.03 mousemove $((x + dx / 3)) $((y + dy / 3)) sleep 0.03 \
		mousemove $((x + dx * 2 / 3)) $((y + dy * 2 / 3)) sleep 0.03 mousemove $((x + dx)) $((y + dy)) \
		sleep 0.03 mouseup 1
}

# ---- what runs in the guest: draw, what it says of a SIZE, whether the window shows that, owner ----

# The guest draws the card at each size, says it, and what xrandr says then.
draw_session() {
	# shellcheck disable=SC2016 # the guest's variables
	inside sh -c '"$1" draw | while read -r size; do
		echo "$(xrandr --current | sed -n "s/^Virtual-1 connected[a-z ]* \([0-9x]*\)+0+0.*/\1/p") $size"
	done' - "$BUILD/guest/card-x" 2>draw.err
}

# The guest fills its console with all characters in all colours, and again where that has another size.
cat >card.pl <<'END'
$| = 1;
my $had = my $said = "";
while (1) {
	open V, "+<", "/dev/vcsa1" or die;
	sysread V, my $head, 4;
	my ($lines, $columns) = unpack "CC", $head;
	if ("$lines $columns" ne $had) {
		syswrite V, pack "C*", map { ($_ % 256, $_ * 7 % 256) } 0 .. $lines * $columns - 1;
		$had = "$lines $columns";
	}
	sysseek V, 0, 0;
	sysread V, my $all, 4 + 2 * 255 * 255;
	close V;
	if ($all ne $said) {
		open C, ">", "card.new" and print C $all and close C and rename "card.new", "card" or die;
		print "$had\n";
		$said = $all;
	}
	select undef, undef, undef, 0.05;
}
END
draw_console() {
	inside sh -c "setfont -C /dev/tty1 $font; printf '\033[?25l' >/dev/tty1; cd /mnt/lodge/job; exec perl card.pl" \
		2>draw.err
}

shows_session() {
	card-x await "$window" "$1" >wrong.out
}

shows_console() {
	card-x shoot "$window" shot.png && text-check shot.png card "$font" >wrong.out && [ "$(head -n 1 wrong.out)" = "$1" ]
}

words_session() {
	echo "$1 $1"
}

words_console() {
	echo "$((${1#*x} / 16)) $((${1%x*} / 8))"
}

owner_session() {
	inside head -n 1 /run/user/0/lodge-session.display
}

owner_console() {
	lodge info --json box | sed -n 's/^.*"owner" : "\([a-z]*\)".*/owner=\1/p' | head -n 1
}

# ---- one size ----

takes_size() {
	local X=0 Y=0 WIDTH=0 HEIGHT=0
	eval "$(card-x place "$window")"
	[ "${WIDTH}x$HEIGHT" = "$1" ]
}

# Waits until the guest says that it has drawn what it should at this size. Only then the window is looked at: one
# that has become smaller shows a part of the picture before, until the guest follows.
words=''
guest_says() {
	local wanted
	wanted=$(words_"$kind" "$1")
	while [ "$words" != "$wanted" ]; do
		read -t 60 -r words <&7 || return 1
	done
}

# A hand that missed the corner tries again.
drags_to() {
	local try
	for try in 1 2 3 4 5; do
		drag_to "$1"
		wait_for 4 takes_size "$1" && return
		echo "# try $try for $1 missed the corner"
	done
	return 1
}

Xvfb -displayfd 5 -screen 0 1600x1200x24 -nolisten tcp 5>x.number 2>/dev/null &
x=$!
case $guest in
session*) kind=session begin="$TOP/tests/vm/display/session-guest.sh" ;;
console*) kind=console begin="$TOP/tests/vm/display/console-guest.sh" ;;
*) fail "DRAG_GUEST=$guest is none of session, session-module, console, console-module" ;;
esac
lodge run --name box --memory 512M --set display.heads=1 --share "job=$PWD" -- \
	env PATH="$BUILD/bin:$PATH" sh "$begin" /mnt/lodge/job/is-up ${module:+"$module"} >guest.out 2>&1 </dev/null &
vm=$!
wait_for 30 test -s x.number || fail "Xvfb is up"
DISPLAY=:$(cat x.number)
export DISPLAY
openbox >/dev/null 2>&1 &
manager=$!
ok "the guest is up" wait_for 150 test -e is-up
exec 7< <(draw_"$kind")
program=$!
guest_says 1024x768
is "$?" 0 "it draws"
lodge view box >view.out 2>&1 &
view=$!
ok "a window opens" wait_for 30 xdotool search --onlyvisible --name '^box.* - Lodge$'
window=$(xdotool search --onlyvisible --name '^box.* - Lodge$' | head -n 1)
xdotool windowmove "$window" 10 30
ok "with what the guest draws" wait_for 60 shows_"$kind" 1024x768

look
before=$screen_mode_sets exact=0 wrong='' start=$SECONDS
for ((i = from; i <= last; i++)); do
	size=$((320 + i * 337 % limit_x))x$((200 + i * 211 % limit_y))
	if drags_to "$size" && guest_says "$size" && wait_for 30 shows_"$kind" "$size" && look &&
		[ "${screen_width}x$screen_height" = "$size" ]; then
		exact=$((exact + 1))
	else
		wrong+=" $size (the guest: ${screen_width}x$screen_height, says $words, $(tr '\n' ' ' <wrong.out))"
	fi
done
is "$exact$wrong" "$sizes" "sizes $from to $last on $guest: the guest's mode, what it says of it, and every pixel of the window"
look
sets=$((screen_mode_sets - before))
echo "# $exact of $sizes exact; $((SECONDS - start)) s, $sets mode sets"
ok "at most three a drag, two on the way" [ "$sets" -le $((3 * sizes)) ]
case $kind in
session) is "$(owner_session)" "owner=lodge-session" "lodge-session sets them" ;;
console) is "$(owner_console)" "owner=console" "lodged sets them" ;;
esac
card-x shoot "$window" shot.png && keep shot.png "drag-$guest.png"

lodge kill box >/dev/null
wait $view
is "$?" 0 "with the VM the window ends"
wait $vm "$program" 2>/dev/null
kill $manager $x
wait
[ "$failures" = 0 ] || sed 's/^/# /' guest.out draw.err
