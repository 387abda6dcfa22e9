// SPDX-License-Identifier: GPL-2.0-or-later
// All device models there are, in the order in which a machine creates them. PCI slots follow from
// it: append, so that a saved machine finds its devices where they were.
#include "host-vmm/backdoor/backdoor.h"
#include "host-vmm/backdoor/vmw_ports.h"
#include "host-vmm/clock/clock.h"
#include "host-vmm/device.h"
#include "host-vmm/devices/legacy.h"
#include "host-vmm/display/display.h"
#include "host-vmm/virtio/fs.h"
#include "host-vmm/virtio/models.h"

const struct device_type *const device_types[] = {
	/* First: those that make pictures and take keys find it. */
	&display_type, &clock_type, &pm_type, &rtc_type, &i8042_type, &serial_type, &backdoor_type,
	&vmw_ports_type, &replug_type,
	/* On PCI: */
	&virtio_console_type, &virtio_rng_type, &virtio_fs_type, &virtio_blk_type,
	&virtio_balloon_type, &virtio_backdoor_type, &virtio_gpu_type, &virtio_input_type,
	NULL, /* the end */
};
