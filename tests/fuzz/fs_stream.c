// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * FUSE messages over the backdoor: what the guest's stream and the back end's ring may hold.
 *
 * Input: one byte for what it is. 0: a stream, cut into messages piece by piece; 1: words of the
 * ring's memory, each an offset (2 bytes) and a byte to put there, in between which the used ring
 * is read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <lodge/fs_stream.h>

#include "host-vmm/memory.h"
#include "host-vmm/virtio/fs_ring.h"
#include "protocol/lib/fs_stream.h"

#define RING_BYTES 0x1000 /* descriptors, available and used ring */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void cut(const uint8_t *bytes, size_t size)
{
	size_t at = 0;

	for (size_t have = 0; have <= size; have++) {
		long len = fs_stream_message(bytes + at, have - at, FS_STREAM_REQUEST_HEADER);

		if (len < 0)
			return;
		if (!len)
			continue;
		/* All of it is there, and not more than fits a slot. */
		if ((size_t)len != have - at || (size_t)len > LODGE_FS_STREAM_MESSAGE_MAX ||
		    (size_t)len < FS_STREAM_REQUEST_HEADER)
			abort();
		at = have;
	}
}

static void take(struct fs_ring *ring, uint32_t *in_hand)
{
	uint8_t reply[64];
	unsigned int slot;
	uint32_t len;

	while (fs_ring_take(ring, &slot, &len) > 0) {
		/* One that the back end had, once, and no longer than its room. */
		if (slot >= LODGE_FS_STREAM_REQUESTS_MAX || !(*in_hand >> slot & 1) ||
		    len > LODGE_FS_STREAM_MESSAGE_MAX)
			abort();
		*in_hand &= ~(1u << slot);
		fs_ring_read(ring, slot, 0, reply, len < sizeof(reply) ? len : sizeof(reply));
		fs_ring_release(ring, slot);
	}
}

static void serve(const uint8_t *bytes, size_t size)
{
	static const uint8_t request[FS_STREAM_REQUEST_HEADER];
	struct fs_ring *ring;
	uint32_t in_hand = 0;
	int slot;

	if (fs_ring_create(&ring))
		return;
	for (; size >= 3; bytes += 3, size -= 3) {
		uint64_t at = (bytes[0] | (unsigned int)bytes[1] << 8) % RING_BYTES;

		slot = fs_ring_free_slot(ring);
		if (slot >= 0) {
			if (in_hand >> slot & 1)
				abort();
			fs_ring_put(ring, (unsigned int)slot, request, sizeof(request));
			in_hand |= 1u << slot;
		}
		(void)memory_write(fs_ring_memory(ring), at, bytes + 2, 1);
		take(ring, &in_hand);
	}
	fs_ring_destroy(ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size && *data & 1)
		serve(data + 1, size - 1);
	else if (size)
		cut(data + 1, size - 1);
	return 0;
}
