#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sway, in software: every pixel of what it shows, at the size that the display asks for when it starts, and at those that
# the window takes while it runs, which lodge-session has it show, once each. On the in-box driver, or with SWAY=module on
# lodge_display.
# TIMEOUT: 400
# NEEDS: lodge lodge-session lodge-toolbox sway swaymsg swaybg card-check card-draw chvt perl
# shellcheck source=tests/vm/lib.sh
. "$LIB"
[ -n "${SWAY:-}" ] || skip "a compositor's start takes long on an emulated processor: SWAY=1 has it run"
# shellcheck disable=SC2034 # of wayland.sh
[ "$SWAY" != module ] || module=$BUILD/modules/$guest_version/lodge_display.ko
# shellcheck source=tests/vm/display/sway.sh
. "$TOP/tests/vm/display/sway.sh"

make_card 1024x1024
start_sway 1024x1024
like "$(lodge info box)" 'resolution +set by sway' "lodge info says so"
# Widths that no CVT mode has, and such as its list of modes has and has not.
for size in 801x603 1203x977 1024x768 1001x701; do
	follow "$size"
done
# shellcheck disable=SC2154 # of sway.sh
is "$(inside head -n 1 "$sway_run/lodge-session.display")" owner=lodge-session "lodge-session says that it sets the mode"
like "$(inside lodge-toolbox display)" 'user 65534 the resolution is set by lodge-session' "and the toolbox says it"
ok "the host is told" wait_for 10 tells owner lodge-session
like "$(lodge info box)" 'resolution +set by lodge-session \(sway has the screen\)' "lodge info says so"

# What somebody sets by hand stays until the window changes.
# shellcheck disable=SC2016 # the guest's
inside sh -c 'swaymsg -s '"$sway_run"'/sway-ipc.*.sock output Virtual-1 mode 800x600' >swaymsg.out 2>&1
ok "a mode that a person sets" wait_for 20 shows_card 800x600
sleep 2 # longer than lodge-session waits for others
ok "stays" shows_card 800x600
follow 905x655
is "$(inside cat "$sway_run/session.log")" "" "lodge-session complains of nothing"
end_sway
ok "the console is lodged's again" wait_for 10 tells owner console

end_guest
