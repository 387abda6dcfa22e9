# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# For scenarios of sway: what wayland.sh has, and what starts sway there, in software and with the seat to itself, and
# lodge-session in its session.
# shellcheck source=tests/vm/display/wayland.sh
. "$TOP/tests/vm/display/wayland.sh"

sway_run=/run/user/65534
# Of 1024 pixels each way the card repeats itself.
cat >sway.conf <<END
output * background $sway_run/card.png tile
xwayland disable
seat * hide_cursor 1
exec lodge-session >$sway_run/session.log 2>&1
END
# sway does not run as root: another user gets what logind would give, a terminal and the screen.
cat >sway.sh <<END
mkdir -p -m 700 $sway_run
cp /mnt/lodge/job/sway.conf /mnt/lodge/job/card.png $sway_run/
chown -R 65534:65534 $sway_run /dev/tty2 /dev/dri/card0
chmod a+rw /dev/tty0
chvt 2
export HOME=$sway_run XDG_RUNTIME_DIR=$sway_run WLR_RENDERER=pixman \\
	WLR_LIBINPUT_NO_DEVICES=1 LIBSEAT_BACKEND=builtin
exec setsid --ctty --wait setpriv --reuid 65534 --regid 65534 --clear-groups \\
	sway --debug --config $sway_run/sway.conf </dev/tty2
END
start_sway() {
	inside sh /mnt/lodge/job/sway.sh >sway.log 2>&1 </dev/null &
	sway=$!
	start_compositor sway "$1"
}

end_sway() {
	inside pkill -x sway
	wait "$sway"
}
