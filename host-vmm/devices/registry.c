// SPDX-License-Identifier: GPL-2.0-or-later
// All device models there are, in the order in which a machine creates them.
#include "host-vmm/device.h"
#include "host-vmm/devices/legacy.h"

const struct device_type *const device_types[] = {
	&pm_type, &rtc_type, &i8042_type, &serial_type, NULL,
};
