# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# For scenarios of desktops' compositors, which want systemd-logind: what wayland.sh has, and a systemd in the guest, process 1
# of a namespace, with D-Bus, logind and one service: somebody's session on terminal 2. In it runs $compositor, a command
# that starts the program whose name follows: the card in a full-screen window, and lodge-session.
memory=1G
# shellcheck source=tests/vm/display/wayland.sh
. "$TOP/tests/vm/display/wayland.sh"

# What the card says goes to stderr: KWin gives what it starts no stdout.
cat >session.sh <<END
#!/bin/sh
/usr/bin/python3 "$TOP/tests/vm/display/card-wayland.py" >&2 &
lodge-session >/run/session.log 2>&1
echo \$? >/run/session.status
wait
END
# shellcheck disable=SC2154 # of the scenario
cat >desktop.service <<END
[Unit]
Requires=dbus.socket systemd-logind.service systemd-user-sessions.service
After=dbus.socket systemd-logind.service systemd-user-sessions.service
[Service]
User=person
PAMName=login
TTYPath=/dev/tty2
StandardInput=tty
StandardOutput=file:/mnt/lodge/job/compositor.log
StandardError=inherit
Environment="PATH=$PATH" XCURSOR_PATH=/run/cursors XDG_SESSION_TYPE=wayland XDG_SEAT=seat0 XDG_VTNR=2
ExecStartPre=+chvt 2
ExecStart=$compositor /run/session.sh
END
# Of what a system starts with, the guest needs D-Bus alone: the rest is there, or costs minutes.
cat >desktop.sh <<'END'
# A cursor of one pixel that is not seen: nothing lies over the card.
for theme in default Adwaita; do
	mkdir -p /run/cursors/$theme/cursors
	for name in left_ptr default; do
		printf 'Xcur\20\0\0\0\0\0\1\0\1\0\0\0\2\0\375\377\30\0\0\0\34\0\0\0\44\0\0\0\2\0\375\377\30\0\0\0\1\0\0\0' \
			>/run/cursors/$theme/cursors/$name
		printf '\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' >>/run/cursors/$theme/cursors/$name
	done
done
useradd -m person
cp /mnt/lodge/job/session.sh /run/
chmod a+x /run/session.sh
install -o person /dev/null /run/session.log
install -o person /dev/null /run/session.status
mkdir -p /run/systemd/system
cp /mnt/lodge/job/desktop.service /run/systemd/system/
for unit in /lib/systemd/system/sysinit.target.wants/* /lib/systemd/system/sockets.target.wants/* \
	/etc/systemd/system/sysinit.target.wants/* /etc/systemd/system/sockets.target.wants/* getty@tty2.service; do
	[ "${unit##*/}" = dbus.socket ] || ln -sf /dev/null "/run/systemd/system/${unit##*/}"
done
# By which systemd takes itself for one of a container.
rm -f /.dockerenv /run/.containerenv
exec unshare --pid --fork --mount --mount-proc /lib/systemd/systemd --system --unit=desktop.service --show-status=no \
	--log-target=kmsg --default-standard-output=null
END

# logged WORD: no program is started for it
logged() { [[ $(<compositor.log) = *$1* ]]; }

# check_desktop NAME: from its start to its end
check_desktop() {
	local before sizes=(801x603 1203x977 1024x768 1001x701) size desktop
	lodge resize --no-wait box 905x655
	inside sh /mnt/lodge/job/desktop.sh >systemd.log 2>&1 </dev/null &
	desktop=$!
	# Screenshots, or any other programs without end, would leave the guest no time on an emulated processor.
	ok "$1 starts, and the card in it" wait_for 400 logged 905x655
	start_compositor "$1" 905x655
	# shellcheck disable=SC2154 # of lib.sh
	[ "$failures" = 0 ] || {
		inside sh -c 'ps axf; dmesg' | tail -n 60
		end_guest
		return
	}
	like "$(lodge info box)" "resolution +set by $1, driver $(fact driver)" "lodge info says so"
	before=$(mode_sets)
	for size in "${sizes[@]}"; do
		follow "$size"
	done
	sleep 2 # longer than anybody of ours waits for others
	is $(($(mode_sets) - before)) ${#sizes[@]} "nobody else sets a mode"
	ok "lodge-session has nothing to do" wait_for 60 inside grep -qx 0 /run/session.status
	like "$(inside cat /run/session.log)" 'the resolution is its own to set' "and says why"
	ok "the card is there as it was" shows_card "${sizes[-1]}"
	inside pkill -x "$1"
	ok "the console is lodged's again" wait_for 30 tells owner console
	end_guest
	wait "$desktop" || true
}
