// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes the words of GuestRPC: every parser of an argument, and the answers to commands.
 *
 *	byte 0      bits 0-1: who says it (I/O ports, port, virtio's root, virtio's user)
 *	the rest    messages, each with two bytes of length before it (little-endian), whose upper
 *bit says that it is the result of a command
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/backdoor.h"
#include "host-vmm/backdoor/tools.h"
#include "host-vmm/loop.h"
#include "protocol/lib/log.h"
#include "tests/unit/virtio_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rig rig;
static struct device *device;
static uint32_t last_tag;

static int swallow(void *opaque, const struct frame *frame, const void *payload)
{
	(void)opaque;
	(void)payload;
	if (frame->type == LODGE_RPC_COMMAND)
		last_tag = frame->tag;
	return 0;
}

static const struct rpc_session_ops ops = { .send = swallow };

static void bring_up(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	rig.config.backdoor_device = true;
	rig_create(&rig);
	device = rig_add_device(&rig, &backdoor_type, 0);
	if (!device)
		abort();
}

static void ask(struct rpc_session *session, const void *message, size_t len)
{
	struct rpc_reply reply;

	rpc_session_request(session, message, len, &reply);
	if (reply.len < 2 || (reply.bytes[0] != '0' && reply.bytes[0] != '1') ||
	    reply.bytes[1] != ' ')
		abort();
	rpc_reply_free(&reply);
}

static void look(void)
{
	struct tools_facts *facts;
	struct tools_status status;

	tools_get_status(rig.machine.backdoor, &status);
	if (tools_get_facts(rig.machine.backdoor, &facts) < 0)
		return;
	(void)facts_best_address(facts);
	if (facts->n_nics > FACTS_NICS_MAX || facts->n_routes > FACTS_ROUTES_MAX ||
	    facts->n_disks > FACTS_DISKS_MAX || facts->n_users > FACTS_USERS_MAX ||
	    facts->n_servers > FACTS_SERVERS_MAX || facts->n_search > FACTS_SEARCH_MAX)
		abort();
	for (size_t i = 0; i < facts->n_routes; i++)
		if (facts->routes[i].nic > FACTS_NICS_MAX)
			abort();
	free(facts);
}

static void say_all(struct rpc_session *session, const uint8_t *data, size_t size)
{
	while (size >= 2) {
		size_t len = (size_t)(data[0] | (data[1] & 0x7f) << 8);
		bool result = data[1] & 0x80;
		/* In a piece of memory of its own: what is read beyond it shows. */
		uint8_t *copy;

		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		copy = malloc(len);
		memcpy(copy, data, len);
		if (result)
			rpc_session_result(session, last_tag, copy, len);
		else
			ask(session, copy, len);
		free(copy);
		data += len;
		size -= len;
	}
}

static void run_here(void *opaque)
{
	static const char hello[] = "lodge.hello app=toolbox\0commands=1";
	static const struct {
		enum rpc_door door;
		enum rpc_privilege privilege;
	} who[] = {
		{ RPC_DOOR_IOPORTS, RPC_USER },
		{ RPC_DOOR_PORT, RPC_ROOT },
		{ RPC_DOOR_VIRTIO, RPC_ROOT },
		{ RPC_DOOR_VIRTIO, RPC_USER },
	};
	struct rpc_session *session;
	const uint8_t *data = ((const uint8_t **)opaque)[0], *end = ((const uint8_t **)opaque)[1];
	unsigned int row = data[0] & 3;

	if (rpc_session_open(rig.machine.backdoor, who[row].door, who[row].privilege, &ops, NULL,
			     &session) < 0)
		abort();
	if (data[0] & 4)
		ask(session, hello, sizeof(hello));
	say_all(session, data + 1, (size_t)(end - data) - 1);
	look();
	rpc_session_close(session);
	device->type->reset(device);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *ends[2] = { data, data + size };

	if (size < 1)
		return 0;
	if (!device)
		bring_up();
	loop_call(rig.machine.loop, run_here, ends);
	return 0;
}
