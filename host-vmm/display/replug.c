// SPDX-License-Identifier: GPL-2.0-or-later
// What the guest's tools ask of the display, as a row of the machine's device table that takes no
// slot: that heads are plugged in anew.
#include <string.h>

#include "host-vmm/backdoor/tools.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/device.h"
#include "host-vmm/display/display.h"
#include "host-vmm/loop.h"
#include "host-vmm/machine.h"
#include "protocol/lib/log.h"

struct replug_device {
	struct device device;
	struct tools_sink *sink; /* NULL: the machine has no backdoor */
};

static size_t replug_count(const struct vm_config *config)
{
	return config->heads > 0;
}

static void on_event(void *opaque, const struct tools_event *event)
{
	const struct replug_device *replug = opaque;

	if (!strcmp(event->name, "display-replug"))
		display_replug(replug->device.machine->display);
}

static int create(struct device *device)
{
	struct replug_device *replug = (struct replug_device *)device;
	int ret = 0;

	if (device->machine->backdoor)
		ret = tools_events_add(device->machine->backdoor, on_event, replug, &replug->sink);
	if (ret)
		log_error("%s: %s", device->name, strerror(-ret));
	return ret;
}

static void forget(void *opaque)
{
	tools_events_remove(((struct replug_device *)opaque)->sink);
}

static void destroy(struct device *device)
{
	loop_call(device->machine->loop, forget, device);
}

const struct device_type replug_type = {
	.name = "display-tools",
	.help = "has heads plugged in anew where the guest's tools ask for it",
	.size = sizeof(struct replug_device),
	.count = replug_count,
	.create = create,
	.destroy = destroy,
};
