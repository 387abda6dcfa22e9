# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# For scenarios of sway: what wayland.sh has, and what starts sway there, in software and with the seat to itself.
# shellcheck source=tests/vm/display/wayland.sh
. "$TOP/tests/vm/display/wayland.sh"

# Of 1024 pixels each way the card repeats itself.
cat >sway.conf <<'END'
output * background /run/wayland/card.png tile
xwayland disable
seat * hide_cursor 1
END
# sway does not run as root: another user gets what logind would give, a terminal and the screen.
cat >sway.sh <<'END'
cp /mnt/lodge/job/sway.conf /mnt/lodge/job/card.png /run/wayland/
chown -R 65534:65534 /run/wayland /dev/tty2 /dev/dri/card0
chmod a+rw /dev/tty0
chvt 2
export HOME=/run/wayland XDG_RUNTIME_DIR=/run/wayland WLR_RENDERER=pixman \
	WLR_LIBINPUT_NO_DEVICES=1 LIBSEAT_BACKEND=builtin
exec setsid --ctty --wait setpriv --reuid 65534 --regid 65534 --clear-groups \
	sway --debug --config /run/wayland/sway.conf </dev/tty2
END
start_sway() {
	inside sh /mnt/lodge/job/sway.sh >sway.log 2>&1 </dev/null &
	sway=$!
	ok "$1: sway shows the card, every pixel" wait_for 150 shows_card "$1"
	ok "$1: it is told who sets the resolution" wait_for 10 tells program sway
	keep shot.png "sway-$(fact driver)-$1.png"
}

end_sway() {
	inside pkill -x sway
	wait "$sway"
}
