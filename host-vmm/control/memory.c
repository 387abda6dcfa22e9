// SPDX-License-Identifier: GPL-2.0-or-later
// How much memory the guest has, who decides it, and what is known of it, on the control socket.
#include "host-vmm/control/memory.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "host-vmm/backdoor/tools.h"
#include "host-vmm/control/json.h"
#include "host-vmm/machine.h"
#include "host-vmm/memory-policy/steward.h"
#include "host-vmm/memory.h"

static const char *const drivers[] = {
	[MEMORY_DRIVER_ABSENT] = "absent",
	[MEMORY_DRIVER_NONE] = "none",
	[MEMORY_DRIVER_VIRTIO] = "virtio-balloon",
	[MEMORY_DRIVER_LODGE] = "lodge_balloon",
};

static void set_bytes(json_t *object, const char *key, uint64_t bytes)
{
	json_object_set_new(object, key, json_integer((json_int_t)bytes));
}

/* What the guest has not told is not there. */
static void set_told(json_t *object, const char *key, uint64_t bytes)
{
	if (bytes != UINT64_MAX)
		set_bytes(object, key, bytes);
}

static void fill(json_t *result, const struct memory_status *status)
{
	const struct memory_limits *limits = &status->limits;
	json_t *guest = json_object(), *host = json_object();

	json_object_set_new(result, "mode", json_string(vm_memory_mode_name(limits->mode)));
	set_bytes(result, "size", limits->size);
	set_bytes(result, "want", limits->want);
	set_bytes(result, "min", limits->min);
	set_bytes(result, "max", limits->max);
	json_object_set_new(result, "driver", json_string(drivers[status->driver]));
	set_bytes(result, "target", status->target);
	set_bytes(result, "given", status->given);
	set_bytes(result, "reported", status->reported);
	set_bytes(result, "need", status->share.need);
	set_bytes(result, "spare", status->share.spare);
	if (status->guest.there) {
		set_told(guest, "available", status->guest.available);
		set_told(guest, "total", status->total);
		set_told(guest, "free", status->free);
		set_told(guest, "cached", status->cached);
		set_bytes(guest, "stall_permille", status->guest.stall);
	}
	json_object_set_new(result, "guest", guest);
	if (status->host.total) {
		set_bytes(host, "available", status->host.available);
		set_bytes(host, "total", status->host.total);
		set_bytes(host, "stall_permille", status->host.stall);
	}
	json_object_set_new(result, "host", host);
}

static int no_balloon(struct control_error *error)
{
	error->message = g_strdup("this VM has no balloon");
	error->hint = g_strdup("set device.balloon=yes and start it anew");
	return -ENODEV;
}

int control_memory(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	struct machine *machine = opaque;
	struct memory_status status;

	(void)params;
	if (!machine->steward)
		return no_balloon(error);
	memory_steward_get(machine->steward, &status);
	fill(result, &status);
	return 0;
}

static int change(struct machine *machine, const struct memory_change *change,
		  struct control_error *error)
{
	int ret = memory_steward_change(machine->steward, change);

	if (ret == -ENODEV)
		return no_balloon(error);
	if (ret == -ERANGE) {
		error->message = g_strdup_printf("not within the VM's %" G_GUINT64_FORMAT
						 " MiB, or min is above max",
						 memory_size(machine->memory) >> 20);
		error->hint = g_strdup("give bytes from 32 MiB on, up to what the VM has");
	}
	return ret;
}

/* 0 where there is none; -ERANGE for what is no size. */
static int get_size(const json_t *params, const char *key, uint64_t *ret_bytes)
{
	json_int_t bytes = control_get_int(params, key, 0);

	*ret_bytes = (uint64_t)bytes;
	return bytes < 0 || (bytes == 0 && json_object_get(params, key)) ? -ERANGE : 0;
}

int control_memory_set(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	const json_t *mode = json_object_get(params, "mode");
	struct memory_change wanted = { 0 };

	(void)result;
	if (mode && (!json_is_string(mode) ||
		     vm_parse_memory_mode(json_string_value(mode), &wanted.mode))) {
		error->message = g_strdup("mode is off, manual or auto");
		return -EINVAL;
	}
	if (get_size(params, "want", &wanted.want) || get_size(params, "min", &wanted.min) ||
	    get_size(params, "max", &wanted.max)) {
		error->message = g_strdup("want, min and max are numbers of bytes above 0");
		error->hint = g_strdup("leave out what is to stay as it is");
		return -ERANGE;
	}
	return change(opaque, &wanted, error);
}

/* The same the other way round: what the guest gives up. */
int control_balloon(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	struct machine *machine = opaque;
	json_int_t target = control_get_int(params, "target", -1);
	uint64_t size = memory_size(machine->memory);
	struct memory_change wanted = { .mode = VM_MEMORY_MANUAL };

	(void)result;
	if (target < 0 || (uint64_t)target >= size || size - (uint64_t)target < VM_MEMORY_MIN) {
		error->message = g_strdup("target is the bytes that the guest gives up: 0 or more, "
					  "and 32 MiB less than it has at most");
		error->hint = g_strdup("status tells how many it has");
		return -ERANGE;
	}
	wanted.want = size - (uint64_t)target;
	return change(machine, &wanted, error);
}

int control_memory_rung(struct machine *machine, const char **ret_by)
{
	struct memory_status status = { .driver = MEMORY_DRIVER_ABSENT };
	unsigned int stall;

	if (machine->steward)
		memory_steward_get(machine->steward, &status);
	switch (status.driver) {
	case MEMORY_DRIVER_LODGE:
		*ret_by = "lodge_balloon";
		return 2;
	case MEMORY_DRIVER_VIRTIO:
		*ret_by = "virtio-balloon";
		if (!machine->backdoor || tools_get_stall(machine->backdoor, &stall))
			return 0;
		*ret_by = "virtio-balloon, lodged tells of stalls";
		return 1;
	case MEMORY_DRIVER_NONE:
		*ret_by = "the guest has no driver for its balloon";
		return -1;
	default:
		*ret_by = "turned off in vm.conf";
		return -1;
	}
}

json_t *control_balloon_figures(struct machine *machine)
{
	struct memory_status status;
	json_t *balloon;

	if (!machine->steward)
		return NULL;
	memory_steward_get(machine->steward, &status);
	if (status.driver == MEMORY_DRIVER_ABSENT)
		return NULL;
	balloon = json_object();
	set_bytes(balloon, "target", status.target);
	set_bytes(balloon, "actual", status.given);
	set_bytes(balloon, "reported", status.reported);
	return balloon;
}
