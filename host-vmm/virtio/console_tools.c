// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The backdoor's port door: frames over a named port of the console, for guests without our module
 * (protocol/spec/backdoor.md).
 *
 * A byte stream has no chains that come back, so replies wait with the other frames; while many do,
 * the guest's own bytes are not taken. A stream that is malformed, or whose other half was lost
 * with a restored machine, is ended by closing our end; it opens again when the guest has closed
 * its own.
 */
#include "host-vmm/virtio/console_tools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/frame_door.h"
#include "host-vmm/machine.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/console_private.h"

#define WAITING_MAX 64u /* frames: beyond, the guest reads before it may write */
#define PUMP_BATCH  64u /* frames until other devices have their turn */

struct console_tools {
	struct console_port *port;
	struct frame_door door;
	struct frame_cutter cutter;
	bool open; /* our end */
	struct frame_out *out; /* part of it is in the guest */
	size_t out_at;
};

/* From any thread. */
static void wake(void *opaque)
{
	struct console_tools *tools = opaque;

	virtqueue_kick(tools->port->rx);
}

static void drop_all(struct console_tools *tools)
{
	frame_door_reset(&tools->door);
	frame_cutter_reset(&tools->cutter);
	free(tools->out);
	tools->out = NULL;
	tools->out_at = 0;
}

static void set_open(struct console_tools *tools, bool open)
{
	if (tools->open == open)
		return;
	tools->open = open;
	console_host_opened(tools->port);
}

static int take_frame(void *opaque, const struct frame *frame, const unsigned char *payload)
{
	struct console_tools *tools = opaque;
	struct rpc_reply reply;
	int ret;

	if (!frame_door_take(&tools->door, frame, payload, &reply))
		return 0;
	ret = frame_door_queue_reply(&tools->door, frame, &reply);
	rpc_reply_free(&reply);
	return ret;
}

size_t console_tools_take(struct console_tools *tools, const uint8_t *bytes, size_t len)
{
	int ret;

	if (!tools->open || !tools->port->guest_open)
		return len; /* left over from a stream that is no more */
	if (frame_door_waiting(&tools->door) > WAITING_MAX)
		return 0;
	ret = frame_cutter_feed(&tools->cutter, bytes, len, take_frame, tools);
	if (ret == 0)
		return len;
	log_ratelimited(&tools->port->console->log_limit, LOG_LEVEL_WARN,
			"%s: port %s: closed, for what the guest sent is malformed (%s)",
			tools->port->console->model.device.name, tools->port->name, strerror(-ret));
	drop_all(tools);
	set_open(tools, false);
	return len;
}

void console_tools_pump(struct console_tools *tools)
{
	if (!tools->open || !tools->port->guest_open)
		return;
	for (unsigned int i = 0; i < PUMP_BATCH; i++) {
		if (!tools->out) {
			tools->out = frame_door_next(&tools->door);
			tools->out_at = 0;
		}
		if (!tools->out)
			return;
		tools->out_at += console_port_give(tools->port, tools->out->bytes + tools->out_at,
						   tools->out->len - tools->out_at);
		if (tools->out_at < tools->out->len)
			return;
		free(tools->out);
		tools->out = NULL;
	}
	wake(tools);
}

bool console_tools_is_full(struct console_tools *tools)
{
	return frame_door_waiting(&tools->door) > WAITING_MAX;
}

void console_tools_guest_opened(struct console_tools *tools, bool open)
{
	drop_all(tools);
	if (!open)
		set_open(tools, true);
}

bool console_tools_is_open(const struct console_tools *tools)
{
	return tools->open;
}

void console_tools_reset(struct console_tools *tools)
{
	drop_all(tools);
	tools->open = true;
}

void console_tools_restored(struct console_tools *tools)
{
	drop_all(tools);
	tools->open = !tools->port->guest_open;
}

int console_tools_create(struct console_port *port, struct console_tools **ret_tools)
{
	struct device *device = &port->console->model.device;
	struct console_tools *tools;
	int ret;

	if (!device->machine->backdoor) {
		log_error("%s: port %s: its back end is the backdoor, which is turned off; set "
			  "[backdoor] port=yes",
			  device->name, port->name);
		return -ENODEV;
	}
	tools = calloc(1, sizeof(*tools));
	ret = tools ? frame_door_create(&tools->door, device->machine->backdoor, RPC_DOOR_PORT, 1,
					wake, tools, device->name)
		    : -ENOMEM;
	if (ret < 0) {
		log_error("%s: port %s: no memory", device->name, port->name);
		free(tools);
		return ret;
	}
	tools->port = port;
	tools->open = true;
	tools->cutter.types = FRAMES_FROM_GUEST;
	*ret_tools = tools;
	return 0;
}

void console_tools_destroy(struct console_tools *tools)
{
	if (!tools)
		return;
	drop_all(tools);
	frame_door_destroy(&tools->door);
	free(tools);
}
