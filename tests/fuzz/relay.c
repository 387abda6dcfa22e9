// SPDX-License-Identifier: GPL-2.0-or-later
// tools.sock: clients that send any bytes, a guest that does anything its credits allow, either
// going away at any time. The input is a script; what the rig finds left open aborts.
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/relay_rig.h"

#define CLIENTS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct script {
	const uint8_t *at, *end;
	struct rig rig;
	int clients[CLIENTS];
};

static uint8_t next(struct script *script)
{
	return script->at < script->end ? *script->at++ : 0;
}

static size_t take(struct script *script, size_t want, const uint8_t **ret_bytes)
{
	size_t left = (size_t)(script->end - script->at);

	*ret_bytes = script->at;
	script->at += want < left ? want : left;
	return want < left ? want : left;
}

static int client(struct script *script)
{
	size_t i = next(script) % CLIENTS;

	if (script->clients[i] < 0)
		script->clients[i] = rig_connect(&script->rig);
	return script->clients[i];
}

/* A well-formed header for whatever follows. */
static void client_frame(struct script *script)
{
	unsigned char bytes[LODGE_RPC_HEADER_SIZE + 255];
	const uint8_t *payload;
	int fd = client(script);
	struct frame frame = { .type = next(script) % 10, .flags = next(script) % 4 };

	frame.tag = next(script) % 8;
	frame.size = (uint32_t)take(script, next(script), &payload);
	frame_build(&frame, bytes);
	memcpy(bytes + LODGE_RPC_HEADER_SIZE, payload, frame.size);
	(void)send(fd, bytes, LODGE_RPC_HEADER_SIZE + frame.size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void client_bytes(struct script *script)
{
	const uint8_t *bytes;
	int fd = client(script);
	size_t len = take(script, next(script), &bytes);

	(void)send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void client_reads(struct script *script)
{
	static char sink[1 << 16];

	(void)recv(client(script), sink, (size_t)next(script) * 256, MSG_DONTWAIT);
}

static void client_leaves(struct script *script)
{
	size_t i = next(script) % CLIENTS;

	if (script->clients[i] >= 0)
		close(script->clients[i]);
	script->clients[i] = -1;
}

static void guest_sends(struct script *script)
{
	static const char block[LODGE_RPC_DATA_MAX];
	struct tools_stream *stream = rig_stream(&script->rig, next(script) % 8);
	size_t len = (size_t)next(script) << 8;
	uint8_t end = next(script);

	if (stream && stream->direction == TOOLS_FROM_GUEST)
		rig_data(stream, block, len < sizeof(block) ? len : sizeof(block), end & 1);
}

static void guest_resets(struct script *script)
{
	struct tools_stream *stream = rig_stream(&script->rig, next(script) % 8);

	if (stream)
		rig_reset(stream, "as it likes");
}

static void guest_takes(struct script *script)
{
	struct tools_stream *stream = rig_stream(&script->rig, next(script) % 8);

	if (stream && stream->direction == TOOLS_TO_GUEST)
		rig_make_room(stream, (uint64_t)next(script) << 8);
}

static void guest_ends(struct script *script)
{
	struct tools_call *call = rig_call(&script->rig, next(script) % 8);
	const uint8_t *bytes;
	char result[256];
	size_t len = take(script, next(script), &bytes);

	memcpy(result, bytes, len);
	result[len] = '\0';
	if (call)
		rig_result(call, result);
}

static void guest_goes(struct script *script)
{
	uint8_t how = next(script);

	if (script->rig.backdoor.status.up)
		rig_tools_go(&script->rig);
	script->rig.backdoor.room = (uint64_t)how << 6;
	script->rig.backdoor.status.up = how & 1;
	script->rig.backdoor.status.epoch++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const steps[])(struct script *) = {
		client_frame, client_bytes, client_reads, client_leaves, guest_sends,
		guest_resets, guest_takes,  guest_ends,	  guest_goes,
	};
	struct script script = { .at = data, .end = data + size };

	rig_start(&script.rig);
	for (size_t i = 0; i < CLIENTS; i++)
		script.clients[i] = -1;
	while (script.at < script.end) {
		steps[next(&script) % (sizeof(steps) / sizeof(steps[0]))](&script);
		rig_turn(&script.rig);
	}
	for (size_t i = 0; i < CLIENTS; i++) {
		if (script.clients[i] >= 0)
			close(script.clients[i]);
	}
	rig_turn(&script.rig);
	rig_stop(&script.rig);
	return 0;
}
