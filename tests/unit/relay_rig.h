/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The relay alone: a loop that turns when the test says so, and tools that do what it says. Stands
 * in for host-vmm/loop.c and for the backdoor; one thread.
 */
#ifndef LODGE_TESTS_RELAY_RIG_H
#define LODGE_TESTS_RELAY_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-vmm/backdoor/relay.h"
#include "host-vmm/backdoor/tools.h"
#include "protocol/lib/frame.h"

#define RIG_STREAMS_MAX LODGE_RPC_STREAMS_MAX
#define RIG_CALLS_MAX	LODGE_RPC_COMMANDS_MAX

struct tools_stream {
	bool open;
	uint32_t number;
	enum tools_direction direction;
	const struct tools_stream_events *events;
	void *opaque;
	uint64_t credit; /* FROM_GUEST: what the guest may send; TO_GUEST: what it takes */
	uint64_t given; /* FROM_GUEST: all that was ever given */
	char *bytes; /* TO_GUEST: what arrived */
	size_t len;
	bool end;
};

struct tools_call {
	bool open;
	char *message;
	size_t len;
	tools_done_fn done;
	void *opaque;
};

struct loop {
	struct loop_source *sources[64];
};

struct backdoor {
	struct tools_status status;
	uint32_t next_number;
	struct tools_stream streams[RIG_STREAMS_MAX];
	struct tools_call calls[RIG_CALLS_MAX];
	uint64_t room; /* that a new TO_GUEST stream has */
};

struct rig {
	char dir[32], path[48];
	struct loop loop;
	struct backdoor backdoor;
	struct relay *relay;
};

/* The tools are up, with guest operations. */
void rig_start(struct rig *rig);
/* Aborts where the relay left a stream, a call or a source behind. */
void rig_stop(struct rig *rig);
/* Serves the relay's descriptors until none is ready. Aborts if that takes too long. */
void rig_turn(struct rig *rig);

/* The open call (or stream) that is @nth, from 0; NULL: there are fewer. */
struct tools_call *rig_call(struct rig *rig, size_t nth);
struct tools_stream *rig_stream(struct rig *rig, size_t nth);
size_t rig_open_calls(const struct rig *rig);
size_t rig_open_streams(const struct rig *rig);

/* What a guest does. */
void rig_result(struct tools_call *call, const char *result);
/* At most what there is credit for, whose number it returns. */
size_t rig_data(struct tools_stream *stream, const void *bytes, size_t len, bool end);
void rig_reset(struct tools_stream *stream, const char *reason);
void rig_make_room(struct tools_stream *stream, uint64_t bytes);
void rig_tools_go(struct rig *rig);

/* A client's connection, non-blocking. */
int rig_connect(struct rig *rig);

#endif
