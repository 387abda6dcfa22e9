/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device's side of a split virtqueue (virtio 1.2, section 2.7), with indirect descriptors and
 * event indices.
 *
 * vring_pop, vring_arm and the fields of the available side belong to the queue's thread. The used
 * side (vring_push, vring_signal_wanted) is also used by workers: its caller holds the queue's
 * lock.
 *
 * Every index, length and address of the guest is read once and checked. A ring that breaks the
 * rules gets -EPROTO: the caller stops that queue; only a reset by the front end revives it.
 *
 * struct split_ring and its record lie in memory that outlives the process (shared.h). They tell
 * the next server, wherever in its work this one died, which chains were taken and not given back.
 */
#ifndef LODGE_FSD_VRING_H
#define LODGE_FSD_VRING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "shared-fs/server/memory.h"

#define VRING_SIZE_MAX                                                            \
	1024 /* entries; Linux' virtio-fs driver uses at most 260 for one request \
	      */
/* A chain has at most VRING_SIZE_MAX descriptors; some may lie across two regions. preadv(2) takes
 * IOV_MAX (1024) of them. */
#define CHAIN_IOV_MAX (VRING_SIZE_MAX + GUEST_MEMORY_SLOTS)

enum vring_state {
	VRING_FREE, /* not ours */
	VRING_TAKEN,
	VRING_DONE, /* answered, to be given back as it is */
};

struct vring_slot {
	uint64_t order; /* of taking, from 1 on */
	uint32_t written; /* VRING_DONE */
	uint8_t state; /* enum vring_state */
	uint8_t tries; /* of servers that came after the one that took it */
	bool remote; /* a worker has it, without a journal */
	uint8_t reserved;
};

#define VRING_PUSHING (1ULL << 32)

struct vring_record {
	uint64_t order; /* of the chain that was taken last */
	uint64_t push; /* 0, or VRING_PUSHING, the head, and in the low 16 bits used_idx before */
	struct vring_slot slots[VRING_SIZE_MAX]; /* by head */
};

struct split_ring {
	struct vring_record *record;
	uint16_t size;
	bool event_idx;
	bool signalled_valid;
	const void *desc;
	uint16_t *avail;
	uint8_t *used;
	uint16_t last_avail; /* next entry to take */
	uint16_t used_idx; /* next entry to give back */
	uint16_t signalled; /* used_idx of the last signal that was considered */
};

struct dax_buffer;

struct chain {
	uint16_t head;
	uint16_t n_out; /* readable by the device: the first n_out of iov */
	uint16_t n_in; /* writable: the n_in after them */
	uint32_t out_len;
	uint32_t in_len;
	struct dax_buffer
		*buffers; /* copies of what lies in the DAX window: dax_buffers_finish() */
	struct iovec iov[CHAIN_IOV_MAX];
};

/* The addresses are the front end's, see struct vhost_user_vring_addr. -EFAULT outside of memory,
 * -EINVAL for a wrong size or alignment. Takes used_idx from the ring. */
int vring_setup(struct split_ring *ring, const struct guest_memory *memory,
		const struct vhost_user_vring_addr *addr);
/* The same for a ring that another process used until it died: what the record says holds again.
 * The used index is the record's, whatever the driver made of it. */
int vring_resume(struct split_ring *ring, const struct guest_memory *memory,
		 const struct vhost_user_vring_addr *addr);

/* 1 and a chain, 0 when the ring is empty, -EPROTO. */
int vring_pop(struct split_ring *ring, const struct guest_memory *memory, struct chain *ret_chain);
/* Asks the driver for a notification once it has added @after more entries (1: the next one).
 * True if there is something in the ring already. */
bool vring_arm(struct split_ring *ring, uint16_t after);
/* Gives the chain back: @written bytes were written to its writable part. */
void vring_push(struct split_ring *ring, uint16_t head, uint32_t written);
/* The chain at a head that was taken before. -EPROTO. */
int vring_fetch(const struct split_ring *ring, const struct guest_memory *memory, uint16_t head,
		struct chain *ret_chain);
/* True if the driver wants a signal for what was pushed since this was last asked. */
bool vring_signal_wanted(struct split_ring *ring);

#endif
