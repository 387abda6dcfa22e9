#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sway, in software: every pixel of what it shows, at the size that the display asks for when it starts; a size that the
# window takes while it runs, which it hears of and leaves to its user. On the in-box driver, or with SWAY=module on
# lodge_display.
# TIMEOUT: 200
# NEEDS: lodge sway swaybg card-check card-draw chvt perl
# shellcheck source=tests/vm/lib.sh
. "$LIB"
[ -n "${SWAY:-}" ] || skip "a compositor's start takes long on an emulated processor: SWAY=1 has it run"
# shellcheck disable=SC2034 # of wayland.sh
[ "$SWAY" != module ] || module=$BUILD/modules/$(uname -r)/lodge_display.ko
# shellcheck source=tests/vm/display/sway.sh
. "$TOP/tests/vm/display/sway.sh"

make_card 1024x1024
start_sway 1024x1024
like "$(lodge info box)" 'resolution +set by sway' "lodge info says so"
for size in 801x603 1203x977; do
	before=$(mode_sets)
	heard=$(grep -c 'Scanning DRM connectors' sway.log)
	lodge resize --no-wait box "$size"
	ok "$size: sway hears of it" wait_for 20 sh -c "[ \$(grep -c 'Scanning DRM connectors' sway.log) -gt $heard ]"
	sleep 1 # longer than anybody of ours waits for others
	is "$(mode_sets)" "$before" "$size: and does nothing, and nobody fights it"
done
end_sway
ok "the console is lodged's again" wait_for 10 tells owner console

end_guest
