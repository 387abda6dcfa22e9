#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# weston on lodge_display: every pixel; the module is not to be unloaded under it; and a device that falls silent under it
# holds up nobody for more than seconds.
# TIMEOUT: 400
# NEEDS: lodge weston card-check perl python3
# shellcheck source=tests/vm/lib.sh
. "$LIB"
[ -n "${WESTON:-}" ] || skip "a start of weston takes a minute on an emulated processor: WESTON=1 has it run"
module=$BUILD/modules/$guest_version/lodge_display.ko
# shellcheck source=tests/vm/display/weston.sh
. "$TOP/tests/vm/display/weston.sh"

# Resets the device behind its driver's back, by the window that its PCI configuration has on its registers (virtio 1.2
# section 4.1.4.9): device_status becomes 0, and no command is answered from then on.
cat >silence.py <<'END'
import glob, struct
for path in glob.glob("/sys/bus/pci/devices/*/config"):
    with open(path, "r+b", 0) as config:
        head = config.read(64)
        if struct.unpack_from("<HH", head) != (0x1af4, 0x1050):
            continue
        at, common, window = head[0x34], None, None
        while at:
            config.seek(at)
            cap = config.read(16)
            if cap[0] == 9 and cap[3] == 1:
                common = (cap[4], struct.unpack_from("<I", cap, 8)[0])
            if cap[0] == 9 and cap[3] == 5:
                window = at
            at = cap[1]
        for where, value in ((4, bytes([common[0]])), (8, struct.pack("<I", common[1] + 20)),
                             (12, struct.pack("<I", 1)), (16, b"\0")):
            config.seek(window + where)
            config.write(value)
END

make_card 905x655
start_weston 905x655
run inside rmmod lodge_display
like "$status $err" '^1 .*in use' "the module is not unloaded under it"
ok "which hurts nobody" shows_card 905x655
inside python3 /mnt/lodge/job/silence.py
ok "over a silent device, weston can be ended" timeout 60 lodge exec box -- \
	sh -c 'pkill -x weston; while pidof weston >/dev/null; do sleep 0.1; done'
wait $weston
run inside timeout 60 kms-check buffers
is "$([ "$status" -lt 124 ] && echo ended)" ended "and other programs end, in whatever way"
ok "and the module be unloaded" timeout 60 lodge exec box -- rmmod lodge_display
ok "a driver that comes next has the device well" inside insmod "$module"
make_card 640x480
ok "every pixel" card-check card.png 1
is "$(inside dmesg | grep -E 'BUG|WARNING: CPU|Oops|Call Trace|hung')" "" "the kernel complains of nothing"

end_guest
