// SPDX-License-Identifier: GPL-2.0-or-later
// The machine's screens and what sits before them, as a row of its device table that takes no slot.
#include <errno.h>
#include <string.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/device.h"
#include "host-vmm/display/display.h"
#include "host-vmm/input/input.h"
#include "host-vmm/machine.h"
#include "protocol/lib/log.h"

struct display_device {
	struct device device;
};

static size_t display_count(const struct vm_config *config)
{
	return config->heads > 0;
}

static int create(struct device *device)
{
	struct machine *machine = device->machine;
	int ret;

	ret = display_create(machine->config->heads, machine->config->display_memory,
			     &machine->display);
	if (!ret)
		ret = input_create(&machine->input);
	if (!ret)
		return 0;
	display_destroy(machine->display);
	machine->display = NULL;
	log_error("the display cannot be made: %s; close something, or say [display] heads=0",
		  strerror(-ret));
	return ret;
}

static void destroy(struct device *device)
{
	struct machine *machine = device->machine;

	input_destroy(machine->input);
	display_destroy(machine->display);
	machine->input = NULL;
	machine->display = NULL;
}

const struct device_type display_type = {
	.name = "display",
	.help = "screens, keyboard and pointer: what windows show and say",
	.size = sizeof(struct display_device),
	.count = display_count,
	.create = create,
	.destroy = destroy,
};
