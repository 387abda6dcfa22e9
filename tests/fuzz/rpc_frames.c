// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes the doors that carry frames: a byte stream, cut into frames, given to the sessions of a
 * door with the whole service behind it, while the host's side sends commands and streams.
 *
 *	byte 0      bit 0: the door has one session (the port), else 64; bits 1-3: size of the
 *pieces that the cutter is fed; bit 4: what waits is not taken, as by a guest that does not read
 *	the rest    the stream
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/backdoor.h"
#include "host-vmm/backdoor/frame_door.h"
#include "host-vmm/backdoor/tools.h"
#include "host-vmm/loop.h"
#include "protocol/lib/fields.h"
#include "protocol/lib/log.h"
#include "tests/unit/virtio_rig.h"

#define STREAMS 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rig rig;

struct run {
	const uint8_t *data;
	size_t size;
	struct frame_door door;
	bool deaf;
	struct tools_stream *streams[STREAMS];
	size_t n_streams;
};

static void wake(void *opaque)
{
	(void)opaque;
}

static void bring_up(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	rig.config.backdoor_device = true;
	rig_create(&rig);
	if (!rig_add_device(&rig, &backdoor_type, 0))
		abort();
}

/* Frames for the guest must be such as a guest takes. */
static void check_out(const struct frame_out *out)
{
	struct frame frame;

	if (out->len < LODGE_RPC_HEADER_SIZE ||
	    frame_parse(out->bytes, FRAMES_FROM_HOST, &frame) < 0 ||
	    out->len != LODGE_RPC_HEADER_SIZE + frame.size)
		abort();
}

static void drain(struct run *run)
{
	struct frame_out *out;

	while ((out = frame_door_next(&run->door))) {
		check_out(out);
		free(out);
	}
}

static const struct tools_stream_events events = { 0 };

static void host_side(struct run *run)
{
	static const char bytes[100000];
	struct tools_status status;

	tools_get_status(rig.machine.backdoor, &status);
	if (!status.up)
		return;
	(void)tools_command(rig.machine.backdoor, 0, "word x", 6, NULL, NULL, NULL);
	if (run->n_streams < STREAMS &&
	    tools_stream_open(rig.machine.backdoor, status.epoch,
			      run->n_streams % 2 ? TOOLS_TO_GUEST : TOOLS_FROM_GUEST, &events, NULL,
			      &run->streams[run->n_streams]) == 0)
		run->n_streams++;
	for (size_t i = 0; i < run->n_streams; i++) {
		(void)tools_stream_send(run->streams[i], bytes, sizeof(bytes), i == 3);
		(void)tools_stream_credit(run->streams[i], 1000);
	}
}

static int take(void *opaque, const struct frame *frame, const unsigned char *payload)
{
	struct run *run = opaque;
	struct rpc_reply reply;

	if (frame_door_take(&run->door, frame, payload, &reply)) {
		if (reply.len < 2 || reply.len > frame->reply_max ||
		    (reply.bytes[0] != '0' && reply.bytes[0] != '1') || reply.bytes[1] != ' ')
			abort();
		(void)frame_door_queue_reply(&run->door, frame, &reply);
		rpc_reply_free(&reply);
	}
	host_side(run);
	if (!run->deaf)
		drain(run);
	return 0;
}

static void run_here(void *opaque)
{
	struct run *run = opaque;
	struct frame_cutter cutter = { .types = FRAMES_FROM_GUEST };
	size_t step = 1u << (run->data[0] >> 1 & 7) << 3, at = 1;
	bool port = run->data[0] & 1;

	run->deaf = run->data[0] & 16;
	if (frame_door_create(&run->door, rig.machine.backdoor,
			      port ? RPC_DOOR_PORT : RPC_DOOR_VIRTIO, port ? 1 : 64, wake, NULL,
			      "fuzz") < 0)
		abort();
	for (; at < run->size; at += step)
		if (frame_cutter_feed(&cutter, run->data + at,
				      step < run->size - at ? step : run->size - at, take, run) < 0)
			break;
	frame_cutter_reset(&cutter);
	drain(run);
	frame_door_destroy(&run->door);
	while (run->n_streams > 0)
		tools_stream_close(run->streams[--run->n_streams]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool up;
	struct run run = { .data = data, .size = size };

	if (size < 1)
		return 0;
	if (!up)
		bring_up();
	up = true;
	loop_call(rig.machine.loop, run_here, &run);
	return 0;
}
