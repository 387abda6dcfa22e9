// SPDX-License-Identifier: GPL-2.0-or-later
/* Split virtqueues, from the device's side. */
#include "shared-fs/server/vring.h"

#include <errno.h>
#include <string.h>

#include <linux/virtio_ring.h>

#include "shared-fs/server/dax_buffer.h"

#define DESC_SIZE sizeof(struct vring_desc)

/* Offsets in 16-bit words: flags, idx, then the ring, then the event index. */
enum { AVAIL_FLAGS = 0, AVAIL_IDX = 1, AVAIL_RING = 2 };

static uint16_t *used_word(const struct split_ring *ring, size_t offset)
{
	return (uint16_t *)(ring->used + offset);
}

static uint16_t *avail_event(const struct split_ring *ring)
{
	return used_word(ring, 4 + (size_t)ring->size * sizeof(struct vring_used_elem));
}

int vring_setup(struct split_ring *ring, const struct guest_memory *memory,
		const struct vhost_user_vring_addr *addr)
{
	uint64_t n = ring->size;

	if (!n || n > VRING_SIZE_MAX || n & (n - 1))
		return -EINVAL;
	if (addr->descriptor % 16 || addr->available % 2 || addr->used % 4)
		return -EINVAL;
	ring->desc = guest_memory_at_user(memory, addr->descriptor, n * DESC_SIZE);
	ring->avail = guest_memory_at_user(memory, addr->available, 4 + 2 * n + 2);
	ring->used = guest_memory_at_user(memory, addr->used,
					  4 + n * sizeof(struct vring_used_elem) + 2);
	if (!ring->desc || !ring->avail || !ring->used)
		return -EFAULT;
	ring->used_idx = guest_load_u16(used_word(ring, 2));
	ring->signalled_valid = false;
	return 0;
}

/* Adds one descriptor's memory, in as many pieces as it lies in; next to the last piece it grows
 * that one, so that a contiguous buffer is one iovec. */
static int chain_add(struct chain *chain, const struct guest_memory *memory,
		     const struct vring_desc *desc)
{
	bool in = desc->flags & VRING_DESC_F_WRITE;
	uint16_t *count = in ? &chain->n_in : &chain->n_out;
	uint32_t *total = in ? &chain->in_len : &chain->out_len;
	uint64_t addr = desc->addr;
	uint64_t left = desc->len;

	if (!in && chain->n_in)
		return -EPROTO; /* 2.7.4.2: writable ones come last */
	if (__builtin_add_overflow(*total, desc->len, total))
		return -EPROTO;
	while (left) {
		uint64_t part = left;
		uint8_t *place = guest_memory_at(memory, addr, &part);
		unsigned int last = chain->n_out + chain->n_in;
		struct iovec *iov = &chain->iov[last];

		if (!place) {
			part = left;
			place = dax_buffer_add(memory->dax, addr, (uint32_t)part, in,
					       &chain->buffers);
		}
		if (!place)
			return -EPROTO;
		if (*count && (uint8_t *)iov[-1].iov_base + iov[-1].iov_len == place) {
			iov[-1].iov_len += part;
		} else {
			if (last == CHAIN_IOV_MAX)
				return -EPROTO;
			*iov = (struct iovec){ place, part };
			(*count)++;
		}
		addr += part;
		left -= part;
	}
	return 0;
}

struct table {
	const uint8_t *desc; /* in guest memory */
	uint32_t n;
};

static int enter_indirect(const struct guest_memory *memory, const struct vring_desc *desc,
			  uint16_t queue_size, struct table *table)
{
	uint64_t len = desc->len;
	const uint8_t *place;

	if (desc->flags & (VRING_DESC_F_NEXT | VRING_DESC_F_WRITE) || !len || len % DESC_SIZE ||
	    len / DESC_SIZE > queue_size)
		return -EPROTO;
	place = guest_memory_at(memory, desc->addr, &len);
	if (!place || len != desc->len)
		return -EPROTO;
	table->desc = place;
	table->n = (uint32_t)(len / DESC_SIZE);
	return 0;
}

/* 2.7.5.3.1: a chain is no longer than the queue, so more steps than that are a loop. */
static int walk(const struct split_ring *ring, const struct guest_memory *memory,
		struct chain *chain)
{
	struct table table = { ring->desc, ring->size };
	uint32_t index = chain->head;
	bool indirect = false;

	for (uint32_t steps = 0; steps < ring->size; steps++) {
		struct vring_desc desc;
		int ret;

		if (index >= table.n)
			return -EPROTO;
		guest_copy_from(&desc, table.desc + index * DESC_SIZE, DESC_SIZE);
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			if (indirect || steps)
				return -EPROTO;
			ret = enter_indirect(memory, &desc, ring->size, &table);
			if (ret)
				return ret;
			indirect = true;
			index = 0;
			steps = UINT32_MAX; /* the table's own descriptors count from 0 */
			continue;
		}
		ret = chain_add(chain, memory, &desc);
		if (ret)
			return ret;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return 0;
		index = desc.next;
	}
	return -EPROTO;
}

int vring_fetch(const struct split_ring *ring, const struct guest_memory *memory, uint16_t head,
		struct chain *ret_chain)
{
	int ret;

	if (head >= ring->size)
		return -EPROTO;
	ret_chain->head = head;
	ret_chain->n_out = 0;
	ret_chain->n_in = 0;
	ret_chain->out_len = 0;
	ret_chain->in_len = 0;
	ret_chain->buffers = NULL;
	ret = walk(ring, memory, ret_chain);
	if (ret) {
		dax_buffers_finish(NULL, ret_chain->buffers);
		ret_chain->buffers = NULL;
	}
	return ret;
}

static uint16_t next_head(const struct split_ring *ring)
{
	return guest_load_u16(&ring->avail[AVAIL_RING + (ring->last_avail & (ring->size - 1))]);
}

/* Before last_avail moves: see skip_taken(). */
static void note_taken(struct vring_record *record, uint16_t head)
{
	struct vring_slot *slot = &record->slots[head];

	slot->order = ++record->order;
	slot->tries = 0;
	slot->remote = false;
	__atomic_store_n(&slot->state, VRING_TAKEN, __ATOMIC_RELEASE);
}

int vring_pop(struct split_ring *ring, const struct guest_memory *memory, struct chain *ret_chain)
{
	uint16_t idx = guest_load_u16(&ring->avail[AVAIL_IDX]);
	uint16_t pending = (uint16_t)(idx - ring->last_avail);
	int ret;

	if (!pending)
		return 0;
	if (pending > ring->size)
		return -EPROTO;
	ret = vring_fetch(ring, memory, next_head(ring), ret_chain);
	if (ret)
		return ret;
	note_taken(ring->record, ret_chain->head);
	ring->last_avail++;
	return 1;
}

bool vring_arm(struct split_ring *ring, uint16_t after)
{
	if (ring->event_idx) {
		guest_store_u16(avail_event(ring), (uint16_t)(ring->last_avail + after - 1));
		/* Pairs with the driver's barrier between its idx and its look at the event. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}
	return guest_load_u16(&ring->avail[AVAIL_IDX]) != ring->last_avail;
}

void vring_push(struct split_ring *ring, uint16_t head, uint32_t written)
{
	struct vring_used_elem elem = { .id = head, .len = written };
	struct vring_record *record = ring->record;
	size_t place = ring->used_idx & (ring->size - 1);

	record->slots[head].written = written;
	__atomic_store_n(&record->slots[head].state, VRING_DONE, __ATOMIC_RELEASE);
	__atomic_store_n(&record->push, VRING_PUSHING | (uint32_t)head << 16 | ring->used_idx,
			 __ATOMIC_RELEASE);
	memcpy(ring->used + 4 + place * sizeof(elem), &elem, sizeof(elem));
	ring->used_idx++;
	guest_store_u16(used_word(ring, 2), ring->used_idx);
	__atomic_store_n(&record->slots[head].state, VRING_FREE, __ATOMIC_RELEASE);
	__atomic_store_n(&record->push, 0, __ATOMIC_RELEASE);
}

/* The chain that was being given back: it was, if the driver can see that. */
static void finish_push(struct split_ring *ring)
{
	struct vring_record *record = ring->record;
	uint16_t head = (uint16_t)(record->push >> 16);
	uint16_t before = (uint16_t)record->push;

	if (!(record->push & VRING_PUSHING) || head >= ring->size)
		return;
	ring->used_idx = before;
	if (guest_load_u16(used_word(ring, 2)) == (uint16_t)(before + 1)) {
		ring->used_idx++;
		record->slots[head].state = VRING_FREE;
	}
	record->push = 0;
}

/* Taken, but last_avail was not moved yet. */
static void skip_taken(struct split_ring *ring)
{
	uint16_t head = next_head(ring);

	if (guest_load_u16(&ring->avail[AVAIL_IDX]) != ring->last_avail && head < ring->size &&
	    ring->record->slots[head].state != VRING_FREE)
		ring->last_avail++;
}

int vring_resume(struct split_ring *ring, const struct guest_memory *memory,
		 const struct vhost_user_vring_addr *addr)
{
	uint16_t used = ring->used_idx;
	int ret = vring_setup(ring, memory, addr);

	if (ret)
		return ret;
	ring->used_idx = used;
	finish_push(ring);
	skip_taken(ring);
	return 0;
}

bool vring_signal_wanted(struct split_ring *ring)
{
	uint16_t old = ring->signalled;
	bool valid = ring->signalled_valid;
	uint16_t event;

	ring->signalled = ring->used_idx;
	ring->signalled_valid = true;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!ring->event_idx)
		return !(guest_load_u16(&ring->avail[AVAIL_FLAGS]) & VRING_AVAIL_F_NO_INTERRUPT);
	event = guest_load_u16(&ring->avail[AVAIL_RING + ring->size]);
	return !valid || vring_need_event(event, ring->used_idx, old);
}
