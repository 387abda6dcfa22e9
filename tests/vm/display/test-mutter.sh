#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# mutter, the compositor of GNOME, in software: it follows the window by itself, by one mode set to each size, and nobody of ours
# acts; every pixel of what it shows. On the in-box driver, or with MUTTER=module on lodge_display.
# TIMEOUT: 900
# NEEDS: lodge lodge-session mutter systemctl unshare useradd card-check chvt perl python3
# shellcheck source=tests/vm/lib.sh
. "$LIB"
[ -n "${MUTTER:-}" ] || skip "a desktop's start takes minutes on an emulated processor: MUTTER=1 has it run"
# shellcheck disable=SC2034 # of wayland.sh
[ "$MUTTER" != module ] || module=$BUILD/modules/$guest_version/lodge_display.ko
# shellcheck disable=SC2034 # of desktop.sh
compositor='env GSETTINGS_BACKEND=memory mutter --wayland --no-x11 --'
# shellcheck source=tests/vm/display/desktop.sh
. "$TOP/tests/vm/display/desktop.sh"

check_desktop mutter
