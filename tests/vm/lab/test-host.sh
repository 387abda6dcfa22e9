#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The ground that the other scenarios stand on: a KVM that an ordinary user may open, and a writable root.
# TIMEOUT: 30
# USER: ordinary
# shellcheck source=tests/vm/lib.sh
. "$LIB"

ok "/dev/kvm is there for all" test -r /dev/kvm -a -w /dev/kvm
ok "not root" test "$(id -u)" != 0
ok "the folder for sockets is mine alone" test "$(stat -c %a:%u "$XDG_RUNTIME_DIR")" = "700:$(id -u)"
ok "the work folder is writable" touch "$WORK/x"
run lab-exits
is "$status" 0 "a guest of a few bytes runs"
like "$out" 'exit.user [0-9]+ ns' "and its exits can be timed"
