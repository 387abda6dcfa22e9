#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# weston, by DRM and in software, on the in-box driver: every pixel of what it shows, at the size that the display asks for
# when it starts, and what becomes of a size that the window takes while it runs.
# TIMEOUT: 400
# NEEDS: lodge weston card-check perl python3
# shellcheck source=tests/vm/lib.sh
. "$LIB"
[ -n "${WESTON:-}" ] || skip "a start of weston takes a minute on an emulated processor: WESTON=1 has it run"
# shellcheck source=tests/vm/display/weston.sh
. "$TOP/tests/vm/display/weston.sh"

make_card 1001x701
start_weston 1001x701
like "$(lodge info box)" 'resolution +set by weston, driver virtio_gpu' "lodge info says so"
before=$(lodge info --json box | grep '"mode_sets"')
lodge resize --no-wait box 800x600
ok "weston hears of another size" wait_for 20 grep -q "monitor change" weston.log
sleep 1 # longer than anybody of ours waits for others
is "$(lodge info --json box | grep '"mode_sets"')" "$before" "it does nothing about it, and nobody fights it"
ok "the card is there as it was" shows_card 1001x701
end_weston
ok "the console is lodged's again" wait_for 10 tells owner console
make_card 800x600
start_weston 800x600
end_weston

end_guest
