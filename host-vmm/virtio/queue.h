/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device's side of a split virtqueue (virtio 1.2 section 2.7), with indirect descriptors and
 * event index.
 *
 * How it is used: on a kick, the device loops: virtqueue_pop() gives one chain as two lists of
 * iovecs, first what the driver wrote for us (out), then where we may write (in); when done
 * with it, virtqueue_push() gives it back with the number of bytes written; after a batch, one
 * virtqueue_notify() raises the interrupt if the driver wants one. The usual loop is
 *
 *	do {
 *		virtqueue_disable_kicks(vq);
 *		while ((ret = virtqueue_pop(vq, &chain)) > 0)
 *			...
 *	} while (ret == 0 && virtqueue_enable_kicks(vq));
 *	virtqueue_notify(vq);
 *
 * Everything in the rings is hostile. Each descriptor is copied once and checked: address in RAM,
 * no loop, at most VIRTQUEUE_CHAIN_MAX descriptors, writable after readable, 32-bit total. A bad
 * ring marks the queue broken: pop gives -EPROTO from then on, the transport sets
 * DEVICE_NEEDS_RESET, and only a reset mends it.
 *
 * Locking: none; a queue is used by one thread at a time (its device's loop).
 */
#ifndef LODGE_VMM_VIRTQUEUE_H
#define LODGE_VMM_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct irq_msi;
struct memory;
struct state;

#define VIRTQUEUE_SIZE_MAX 1024 /* ours; the spec's limit is 32768 (section 2.7) */
#define VIRTQUEUE_CHAIN_MAX                                                  \
	1024 /* descriptors in a chain: at most the queue's size (2.7.5.3.1) \
	      */

struct virtqueue {
	/* Set by the transport while the queue is not enabled: */
	const struct memory *memory;
	uint16_t index;
	uint16_t max_size;
	uint16_t size; /* entries, a power of two */
	uint64_t desc, driver, device; /* guest-physical addresses of the three areas */
	bool enabled;
	bool event_idx; /* VIRTIO_F_EVENT_IDX was negotiated */
	bool indirect; /* VIRTIO_F_INDIRECT_DESC was negotiated */
	int kick_fd; /* eventfd behind the doorbell's ioeventfd, non-blocking; the transport's */
	struct irq_msi
		*msi; /* where notify goes; NULL without a vector. Atomic: a vCPU may set it */

	/* The queue's own: */
	bool broken;
	const char *broken_why;
	uint16_t last_avail; /* next entry of the available ring */
	uint16_t avail; /* available index as last seen: entries before it need no new look */
	uint16_t used; /* next entry of the used ring */
	uint16_t signalled; /* used index at the last notify */
	bool signalled_valid;
	void *desc_host, *driver_host, *device_host; /* checked when enabled */
	uint64_t kicks, interrupts; /* counters, for `lodge info` and tests */
};

/* Room for a whole chain; one for each request that a device keeps in flight, or one on its stack's
 * behalf for devices that finish a chain before the next pop. */
struct virtq_chain {
	uint16_t head;
	unsigned int n_out, n_in;
	size_t out_len, in_len; /* bytes */
	struct iovec *iov; /* n_out entries, then n_in entries; room for iov_max */
	unsigned int iov_max;
	/* Buffers that are no RAM but files mapped into the guest (memory_in_window) are left out,
	 * and left_out tells. A device that can fail a single request sets may_leave_out and finds
	 * the rest of the chain; for the others such a chain is empty: what it brings is dropped,
	 * what it asks for is not given. */
	bool may_leave_out;
	bool left_out;
};

static inline struct iovec *virtq_out(struct virtq_chain *chain)
{
	return chain->iov;
}

static inline struct iovec *virtq_in(struct virtq_chain *chain)
{
	return chain->iov + chain->n_out;
}

/* Checks the three areas and readies the queue. -EINVAL with broken_why set. */
int virtqueue_enable(struct virtqueue *vq);
/* Back to the state before the driver set it up: all fields but memory, index, max_size, kick_fd.
 */
void virtqueue_reset(struct virtqueue *vq);

/* 1 with a chain; 0 when the ring is empty; -EPROTO when it is broken (with broken_why). */
int virtqueue_pop(struct virtqueue *vq, struct virtq_chain *chain);
/* Undoes the last pop: for a device that cannot serve it yet. */
void virtqueue_unpop(struct virtqueue *vq);
void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written);
/* Raises the interrupt for all pushes since the last call, if the driver wants it. */
void virtqueue_notify(struct virtqueue *vq);

void virtqueue_disable_kicks(struct virtqueue *vq);
/* True if chains came meanwhile: go round again. */
bool virtqueue_enable_kicks(struct virtqueue *vq);

/* Rings the queue's doorbell from our side: its turn comes again after the loop's other sources.
 * Any thread. */
void virtqueue_kick(struct virtqueue *vq);

void virtqueue_break(struct virtqueue *vq, const char *why);

int virtqueue_save(const struct virtqueue *vq, struct state *state);
int virtqueue_load(struct virtqueue *vq, struct state *state);

#endif
