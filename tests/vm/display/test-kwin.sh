#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# KWin, the compositor of KDE, in software: it follows the window by itself, by one mode set to each size, and nobody of ours
# acts; every pixel of what it shows. On the in-box driver, or with KWIN=module on lodge_display.
# TIMEOUT: 900
# NEEDS: lodge lodge-session kwin_wayland systemctl unshare useradd card-check chvt perl python3
# shellcheck source=tests/vm/lib.sh
. "$LIB"
[ -n "${KWIN:-}" ] || skip "a desktop's start takes minutes on an emulated processor: KWIN=1 has it run"
# shellcheck disable=SC2034 # of wayland.sh
[ "$KWIN" != module ] || module=$BUILD/modules/$guest_version/lodge_display.ko
# shellcheck disable=SC2034 # of desktop.sh
compositor='env KWIN_COMPOSE=Q kwin_wayland --drm --no-lockscreen --no-global-shortcuts --exit-with-session'
# shellcheck source=tests/vm/display/desktop.sh
. "$TOP/tests/vm/display/desktop.sh"

check_desktop kwin_wayland
