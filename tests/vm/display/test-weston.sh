#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# weston, by DRM and in software: every pixel of what it shows, at the size that the display asks for when it starts, and at
# those that the window takes while it runs, for which heads are plugged in anew. On the in-box driver, or with WESTON=module
# on lodge_display.
# TIMEOUT: 600
# NEEDS: lodge weston card-check perl python3
# shellcheck source=tests/vm/lib.sh
. "$LIB"
[ -n "${WESTON:-}" ] || skip "a start of weston takes a minute on an emulated processor: WESTON=1 has it run"
# shellcheck disable=SC2034 # of wayland.sh
[ "$WESTON" != module ] || module=$BUILD/modules/$guest_version/lodge_display.ko
# shellcheck source=tests/vm/display/weston.sh
. "$TOP/tests/vm/display/weston.sh"

sizes=(801x603 1203x977 1024x768)
for size in "${sizes[@]}" 1001x701; do
	make_card "$size"
	cp card.png "card-$size.png"
done
start_weston 1001x701
like "$(lodge info box)" "resolution +set by weston, driver $(fact driver)" "lodge info says so"
before=$(mode_sets)
for size in "${sizes[@]}"; do
	cp "card-$size.png" card.png # weston paints its background anew for a new monitor
	follow "$size"
done
sleep 4 # longer than anybody of ours waits for others
is $(($(mode_sets) - before)) ${#sizes[@]} "nobody else sets a mode"
is "$(grep -c "head 'Virtual-1' .* is disconnected" weston.log)" ${#sizes[@]} "its head went once for each size"
ok "the card is there as it was" shows_card "${sizes[-1]}"
end_weston
ok "the console is lodged's again" wait_for 10 tells owner console
make_card 800x600
start_weston 800x600
end_weston

end_guest
