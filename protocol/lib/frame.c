// SPDX-License-Identifier: GPL-2.0-or-later
// Headers of GuestRPC frames, checked in one place, and the cutter of byte streams.
#include "protocol/lib/frame.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define REPLY_MAX_LEAST 64 /* protocol/spec/rpc.md, "Frames" */

static const struct {
	uint32_t size_max;
	uint16_t flags;
} limits[] = {
	[LODGE_RPC_REQUEST] = { LODGE_RPC_PAYLOAD_MAX, LODGE_RPC_F_ROOT },
	[LODGE_RPC_REPLY] = { LODGE_RPC_PAYLOAD_MAX, LODGE_RPC_F_BUSY },
	[LODGE_RPC_COMMAND] = { LODGE_RPC_DATA_MAX, 0 },
	[LODGE_RPC_RESULT] = { LODGE_RPC_PAYLOAD_MAX, LODGE_RPC_F_ROOT },
	[LODGE_RPC_DATA] = { LODGE_RPC_DATA_MAX, LODGE_RPC_F_ROOT | LODGE_RPC_F_END },
	[LODGE_RPC_CREDIT] = { sizeof(uint32_t), LODGE_RPC_F_ROOT },
	[LODGE_RPC_RESET] = { LODGE_RPC_DATA_MAX, LODGE_RPC_F_ROOT },
	[LODGE_RPC_CLOSE] = { 0, LODGE_RPC_F_ROOT },
};

int frame_parse(const void *bytes, uint32_t types, struct frame *ret_frame)
{
	struct lodge_rpc_header header;
	struct frame frame;
	uint16_t type;

	memcpy(&header, bytes, sizeof(header));
	type = le16toh(header.type);
	if (le32toh(header.magic) != LODGE_RPC_MAGIC || type == 0 ||
	    type >= sizeof(limits) / sizeof(limits[0]) || !(types & FRAME_TYPE(type)))
		return -EBADMSG;
	frame = (struct frame){
		.size = le32toh(header.size),
		.type = type,
		.flags = le16toh(header.flags),
		.session = le32toh(header.session),
		.tag = le32toh(header.tag),
		.reply_max = le32toh(header.reply_max),
	};
	if (frame.size > limits[type].size_max || frame.flags & ~limits[type].flags)
		return -EBADMSG;
	if (type == LODGE_RPC_REQUEST ? frame.reply_max < REPLY_MAX_LEAST : frame.reply_max != 0)
		return -EBADMSG;
	*ret_frame = frame;
	return 0;
}

void frame_build(const struct frame *frame, void *bytes)
{
	struct lodge_rpc_header header = {
		.magic = htole32(LODGE_RPC_MAGIC),
		.size = htole32(frame->size),
		.type = htole16(frame->type),
		.flags = htole16(frame->flags),
		.session = htole32(frame->session),
		.tag = htole32(frame->tag),
		.reply_max = htole32(frame->reply_max),
	};

	memcpy(bytes, &header, sizeof(header));
}

static size_t take(void *to, size_t have, size_t want, const unsigned char *bytes, size_t len)
{
	size_t count = want - have < len ? want - have : len;

	if (count)
		memcpy((unsigned char *)to + have, bytes, count);
	return count;
}

static int finish(struct frame_cutter *cutter, frame_fn fn, void *opaque)
{
	unsigned char *payload = cutter->payload;
	int ret;

	payload[cutter->frame.size] = '\0';
	cutter->payload = NULL;
	cutter->have = 0;
	ret = fn(opaque, &cutter->frame, payload);
	free(payload);
	return ret;
}

int frame_cutter_feed(struct frame_cutter *cutter, const void *bytes, size_t len, frame_fn fn,
		      void *opaque)
{
	const unsigned char *at = bytes, *end = at + len;
	size_t count;
	int ret;

	while (at < end) {
		if (!cutter->payload) {
			count = take(cutter->header, cutter->have, sizeof(cutter->header), at,
				     (size_t)(end - at));
			at += count;
			cutter->have += count;
			if (cutter->have < sizeof(cutter->header))
				return 0;
			ret = frame_parse(cutter->header, cutter->types, &cutter->frame);
			if (ret)
				return ret;
			cutter->payload = malloc((size_t)cutter->frame.size + 1);
			if (!cutter->payload)
				return -ENOMEM;
			cutter->have = 0;
		}
		count = take(cutter->payload, cutter->have, cutter->frame.size, at,
			     (size_t)(end - at));
		at += count;
		cutter->have += count;
		if (cutter->have < cutter->frame.size)
			return 0;
		ret = finish(cutter, fn, opaque);
		if (ret)
			return ret;
	}
	return 0;
}

void frame_cutter_reset(struct frame_cutter *cutter)
{
	free(cutter->payload);
	cutter->payload = NULL;
	cutter->have = 0;
}
