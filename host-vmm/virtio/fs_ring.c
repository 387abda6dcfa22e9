// SPDX-License-Identifier: GPL-2.0-or-later
/* A split virtqueue (virtio 1.2, section 2.7) from the driver's side. */
#include "host-vmm/virtio/fs_ring.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include <lodge/fs_stream.h>

#include "host-vmm/memory.h"
#include "host-vmm/vhost-user/frontend.h"
#include "protocol/lib/fd.h"

#define SLOTS LODGE_FS_STREAM_REQUESTS_MAX
#define SIZE  (2 * SLOTS) /* descriptors: a request and a reply each */

/* Where things are in the memory. */
#define DESC_AT	      0x000u
#define AVAIL_AT      0x400u
#define USED_AT	      0x800u
#define SLOTS_AT      0x1000u
#define REPLY_AT      LODGE_FS_STREAM_MESSAGE_MAX /* in a slot, behind the request */
#define SLOT_SIZE     (2 * LODGE_FS_STREAM_MESSAGE_MAX)
#define SLOT_AT(slot) (SLOTS_AT + (uint64_t)(slot)*SLOT_SIZE)

_Static_assert(SIZE * sizeof(struct vring_desc) <= AVAIL_AT, "descriptors");
_Static_assert(AVAIL_AT + 6 + 2 * SIZE <= USED_AT, "available ring");
_Static_assert(USED_AT + 6 + 8 * SIZE <= SLOTS_AT, "used ring");
_Static_assert((SIZE & (SIZE - 1)) == 0, "a ring's size is a power of two");

struct fs_ring {
	struct memory *memory;
	int kick_fd, call_fd;
	uint16_t available; /* entries that were given */
	uint16_t used; /* entries that were taken back */
	uint32_t in_use; /* bit for each slot */
	uint32_t given; /* those of them that the back end has */
};

int fs_ring_create(struct fs_ring **ret_ring)
{
	struct fs_ring *ring = calloc(1, sizeof(*ring));
	int ret;

	if (!ring)
		return -ENOMEM;
	ring->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ring->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = ring->kick_fd < 0 || ring->call_fd < 0 ? -errno : 0;
	if (!ret)
		ret = memory_create(SLOT_AT(SLOTS), MEMORY_SHARED, &ring->memory);
	if (ret) {
		fs_ring_destroy(ring);
		return ret;
	}
	*ret_ring = ring;
	return 0;
}

void fs_ring_destroy(struct fs_ring *ring)
{
	if (!ring)
		return;
	if (ring->memory)
		memory_destroy(ring->memory);
	fd_close(&ring->kick_fd);
	fd_close(&ring->call_fd);
	free(ring);
}

void fs_ring_reset(struct fs_ring *ring)
{
	uint64_t rung;

	(void)memory_discard(ring->memory, 0, memory_size(ring->memory));
	(void)!read(ring->kick_fd, &rung, sizeof(rung));
	(void)!read(ring->call_fd, &rung, sizeof(rung));
	ring->available = 0;
	ring->used = 0;
	ring->in_use = 0;
	ring->given = 0;
}

const struct memory *fs_ring_memory(const struct fs_ring *ring)
{
	return ring->memory;
}

struct vhost_user_vring fs_ring_vring(const struct fs_ring *ring)
{
	return (struct vhost_user_vring){
		.size = SIZE,
		.desc = DESC_AT,
		.available = AVAIL_AT,
		.used = USED_AT,
		.kick_fd = ring->kick_fd,
		.call_fd = ring->call_fd,
		.err_fd = -1,
	};
}

int fs_ring_fd(const struct fs_ring *ring)
{
	return ring->call_fd;
}

int fs_ring_free_slot(const struct fs_ring *ring)
{
	for (unsigned int i = 0; i < SLOTS; i++) {
		if (!(ring->in_use >> i & 1))
			return (int)i;
	}
	return -EBUSY;
}

/* The memory is all ours: no address in here is outside of it. */
static void put(const struct fs_ring *ring, uint64_t at, const void *bytes, size_t len)
{
	(void)memory_write(ring->memory, at, bytes, len);
}

void fs_ring_put(struct fs_ring *ring, unsigned int slot, const void *request, size_t len)
{
	const struct vring_desc desc[2] = {
		{ SLOT_AT(slot), (uint32_t)len, VRING_DESC_F_NEXT, (uint16_t)(2 * slot + 1) },
		{ SLOT_AT(slot) + REPLY_AT, LODGE_FS_STREAM_MESSAGE_MAX, VRING_DESC_F_WRITE, 0 },
	};
	const uint16_t head = (uint16_t)(2 * slot);
	const uint64_t one = 1;

	put(ring, SLOT_AT(slot), request, len);
	put(ring, DESC_AT + head * sizeof(desc[0]), desc, sizeof(desc));
	put(ring, AVAIL_AT + 4 + 2u * (ring->available % SIZE), &head, sizeof(head));
	ring->available++;
	ring->in_use |= 1u << slot;
	ring->given |= 1u << slot;
	/* Entry before index, index before doorbell. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	put(ring, AVAIL_AT + 2, &ring->available, sizeof(ring->available));
	(void)!write(ring->kick_fd, &one, sizeof(one));
}

int fs_ring_take(struct fs_ring *ring, unsigned int *ret_slot, uint32_t *ret_len)
{
	struct vring_used_elem entry;
	uint16_t index;

	(void)memory_read(ring->memory, USED_AT + 2, &index, sizeof(index));
	if (index == ring->used)
		return 0;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	(void)memory_read(ring->memory, USED_AT + 4 + 8u * (ring->used % SIZE), &entry,
			  sizeof(entry));
	if (entry.id >= SIZE || entry.id % 2 || !(ring->given >> entry.id / 2 & 1) ||
	    entry.len > LODGE_FS_STREAM_MESSAGE_MAX)
		return -EPROTO;
	ring->used++;
	ring->given &= ~(1u << entry.id / 2);
	*ret_slot = entry.id / 2;
	*ret_len = entry.len;
	return 1;
}

void fs_ring_read(const struct fs_ring *ring, unsigned int slot, size_t offset, void *buffer,
		  size_t len)
{
	(void)memory_read(ring->memory, SLOT_AT(slot) + REPLY_AT + offset, buffer, len);
}

void fs_ring_release(struct fs_ring *ring, unsigned int slot)
{
	ring->in_use &= ~(1u << slot);
}
