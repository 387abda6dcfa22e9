// SPDX-License-Identifier: GPL-2.0-or-later
// What a window says on display.sock: any bytes, in pieces of any length. How they are cut must not
// matter, and what comes through has been checked.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/display/wire.h"

#define HEADS	 3
#define MESSAGES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
	struct wire wire;
	unsigned int n;
	uint32_t sum; /* of all that was heard */
	int ret;
};

static void require(int condition)
{
	if (!condition)
		abort();
}

static void mix(struct heard *heard, uint32_t word)
{
	heard->sum = heard->sum * 16777619u ^ word;
}

static int take(void *opaque, const struct wire_message *message)
{
	struct heard *heard = opaque;

	require((message->type == LODGE_DISPLAY_ATTACH) == !heard->n);
	require(message->type <= LODGE_DISPLAY_RELEASE && message->head < HEADS);
	if (message->type == LODGE_DISPLAY_ATTACH)
		require(!(message->heads >> HEADS));
	heard->n++;
	mix(heard, message->type << 8 | message->head);
	if (message->type == LODGE_DISPLAY_RESIZE) {
		mix(heard, message->resize.width ^ message->resize.height_mm);
		mix(heard, message->resize.height_mm);
	} else if (message->type != LODGE_DISPLAY_RELEASE) {
		mix(heard, message->serial);
	}
	return heard->n == MESSAGES ? -1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct heard whole = { .wire.n_heads = HEADS }, pieces = { .wire.n_heads = HEADS };
	size_t step = size ? 1 + data[0] % 31 : 1;

	whole.ret = wire_feed(&whole.wire, data, size, take, &whole);
	for (size_t at = 0; at < size && !pieces.ret; at += step) {
		const size_t len = size - at < step ? size - at : step;
		/* Of its exact size, so that a byte too many is found. */
		uint8_t *piece = malloc(len);

		require(piece != NULL);
		memcpy(piece, data + at, len);
		pieces.ret = wire_feed(&pieces.wire, piece, len, take, &pieces);
		free(piece);
	}
	require(whole.ret == pieces.ret && whole.n == pieces.n && whole.sum == pieces.sum);
	return 0;
}
