// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * FUSE requests without a server: answered with an error.
 *
 * Theory of operation. A back end takes chains off the available ring in order and gives them back
 * in any order. When it dies, the chains are of three kinds: given back (in the used ring), in hand
 * (taken, not given back), waiting (not taken). Where it kept a record (vhost-user's in-flight
 * memory), the record names those in hand; taken = given back + in hand, which tells where the
 * waiting ones begin. Those in hand are answered with EIO and are not given to the next server: a
 * mkdir or an appending write that was half done must not be done twice.
 *
 * Where there is no record, in hand and waiting are one, and are found from the rings: at an index
 * at which the queue once was idle, both rings had moved equally far, and of the heads behind it
 * those are out that stand once more often in the available ring than in the used ring. Each index
 * that the rings still show is tried as that, oldest first, and refused where a head would be out
 * twice or less than never. This errs only where a chain was out while a whole ring of others came
 * and went.
 */
#include "host-vmm/virtio/fs_orphans.h"

#include <errno.h>
#include <linux/fuse.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/irq.h"
#include "host-vmm/memory.h"
#include "host-vmm/vhost-user/frontend.h"
#include "host-vmm/virtio/queue.h"

/* In both rings alike: virtio 1.2, sections 2.7.6 and 2.7.8. */
#define RING_IDX     2
#define RING_ENTRIES 4

static int chain_init(struct virtq_chain *chain)
{
	*chain = (struct virtq_chain){ .iov_max = VIRTQUEUE_CHAIN_MAX, .may_leave_out = true };
	chain->iov = calloc(chain->iov_max, sizeof(*chain->iov));
	return chain->iov ? 0 : -ENOMEM;
}

static void answer(struct virtqueue *vq, struct virtq_chain *chain, int error)
{
	struct fuse_out_header out = { .len = sizeof(out), .error = error };
	struct fuse_in_header in;
	size_t got;

	got = memory_iov_read(virtq_out(chain), chain->n_out, 0, &in, sizeof(in));
	/* FORGET has no answer, and neither has what is no request. */
	if (got < sizeof(in) || chain->in_len < sizeof(out)) {
		virtqueue_push(vq, chain->head, 0);
		return;
	}
	out.unique = in.unique;
	memory_iov_write(virtq_in(chain), chain->n_in, 0, &out, sizeof(out));
	virtqueue_push(vq, chain->head, sizeof(out));
}

/* Follows at most so many descriptors, in ring and indirect table together. */
#define WALK_MAX (2 * VIRTQUEUE_CHAIN_MAX)

static int add_piece(const struct virtqueue *vq, const struct vring_desc *desc,
		     struct virtq_chain *chain)
{
	unsigned int at = chain->n_out + chain->n_in;
	bool writable = desc->flags & VRING_DESC_F_WRITE;

	/* Of a file in the window: the answer needs none of it. */
	if (!desc->len || memory_in_window(vq->memory, desc->addr, desc->len))
		return 0;
	if (at >= chain->iov_max || (!writable && chain->n_in) ||
	    memory_iov(vq->memory, desc->addr, desc->len, &chain->iov[at]))
		return -EPROTO;
	if (writable) {
		chain->n_in++;
		chain->in_len += desc->len;
	} else {
		chain->n_out++;
		chain->out_len += desc->len;
	}
	return 0;
}

/* The chain at @head, to which no entry of the available ring need lead any more. */
static int fetch(const struct virtqueue *vq, uint16_t head, struct virtq_chain *chain)
{
	uint64_t table = vq->desc;
	uint32_t entries = vq->size;
	uint16_t at = head;

	chain->head = head;
	chain->n_out = chain->n_in = 0;
	chain->out_len = chain->in_len = 0;
	for (unsigned int i = 0; i < WALK_MAX; i++) {
		struct vring_desc desc; /* little-endian, as this host is */

		if (at >= entries ||
		    memory_read(vq->memory, table + 16ull * at, &desc, sizeof(desc)))
			return -EPROTO;
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			if (table != vq->desc)
				return -EPROTO;
			table = desc.addr;
			entries = desc.len / sizeof(desc);
			at = 0;
			continue;
		}
		if (add_piece(vq, &desc, chain))
			return -EPROTO;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return 0;
		at = desc.next;
	}
	return -EPROTO;
}

static int answer_in_hand(struct virtqueue *vq, const uint16_t *heads, int count)
{
	struct virtq_chain chain;
	int ret;

	ret = chain_init(&chain);
	for (int i = 0; !ret && i < count; i++) {
		ret = fetch(vq, heads[i], &chain);
		if (!ret)
			answer(vq, &chain, -EIO);
	}
	free(chain.iov);
	return ret;
}

/* What both rings say, copied: one look that stays the same. */
struct rings {
	uint16_t size, available_idx, used_idx;
	uint16_t available[VIRTQUEUE_SIZE_MAX]; /* heads */
	uint16_t used[VIRTQUEUE_SIZE_MAX];
	int16_t balance[VIRTQUEUE_SIZE_MAX]; /* of each head: made available less given back */
};

/* @area: flags, idx, then entries of @bytes that begin with a head (virtio 1.2, 2.7.6, 2.7.8). */
static int read_ring(const struct virtqueue *vq, uint64_t area, size_t bytes, uint16_t *ret_idx,
		     uint16_t *ret_heads)
{
	int ret = memory_read(vq->memory, area + RING_IDX, ret_idx, sizeof(*ret_idx));

	for (unsigned int i = 0; !ret && i < vq->size; i++) {
		ret = memory_read(vq->memory, area + RING_ENTRIES + bytes * i, &ret_heads[i],
				  sizeof(*ret_heads));
		if (!ret && ret_heads[i] >= vq->size)
			ret = -EPROTO;
	}
	return ret;
}

/* Whether the queue may have been idle at index @since; if so, balance is 1 for what is out. */
static bool balances(struct rings *rings, uint16_t since)
{
	uint16_t mask = rings->size - 1;

	memset(rings->balance, 0, sizeof(rings->balance));
	for (uint16_t i = since; i != rings->available_idx; i++)
		rings->balance[rings->available[i & mask]]++;
	for (uint16_t i = since; i != rings->used_idx; i++)
		rings->balance[rings->used[i & mask]]--;
	for (unsigned int i = 0; i < rings->size; i++) {
		if (rings->balance[i] < 0 || rings->balance[i] > 1)
			return false;
	}
	return true;
}

/* All that is out, without a record. The count, at most the queue's size. */
static int find_out(const struct virtqueue *vq, struct rings *rings, uint16_t *ret_heads)
{
	uint16_t since;
	int count = 0;
	int ret;

	rings->size = vq->size;
	ret = read_ring(vq, vq->driver, sizeof(uint16_t), &rings->available_idx, rings->available);
	if (!ret)
		ret = read_ring(vq, vq->device, sizeof(struct vring_used_elem), &rings->used_idx,
				rings->used);
	if (!ret && (uint16_t)(rings->available_idx - rings->used_idx) > rings->size)
		ret = -EPROTO;
	if (ret)
		return ret;
	since = (uint16_t)(rings->available_idx - rings->size);
	while (!balances(rings, since)) {
		if (since++ == rings->used_idx)
			return -EPROTO;
	}
	for (unsigned int i = 0; i < rings->size; i++) {
		if (rings->balance[i])
			ret_heads[count++] = (uint16_t)i;
	}
	return count;
}

static int in_hand(struct virtqueue *vq, const struct vhost_user *vu, uint16_t *ret_heads)
{
	struct rings *rings;
	uint16_t used;
	int count;

	count = memory_read(vq->memory, vq->device + RING_IDX, &used, sizeof(used));
	if (count)
		return count;
	count = vhost_user_inflight(vu, vq->index, used, ret_heads, vq->size);
	if (count < 0) {
		rings = calloc(1, sizeof(*rings));
		if (!rings)
			return -ENOMEM;
		count = find_out(vq, rings, ret_heads);
		free(rings);
	}
	vq->used = used;
	if (count >= 0)
		vq->last_avail = vq->avail = (uint16_t)(used + count);
	return count;
}

int fs_orphans_take_over(struct virtqueue *vq, const struct vhost_user *vu)
{
	struct irq_msi *msi;
	uint16_t *heads;
	int ret;

	if (!vq->enabled || vq->broken)
		return 0;
	heads = calloc(vq->size, sizeof(*heads));
	if (!heads)
		return -ENOMEM;
	ret = in_hand(vq, vu, heads);
	if (ret >= 0)
		ret = answer_in_hand(vq, heads, ret);
	free(heads);
	if (ret == -EPROTO)
		virtqueue_break(vq, "the rings do not tell what the dead back end had in hand");
	/* It may have died before it raised the interrupt for its last answers; one too many does
	 * no harm. */
	msi = __atomic_load_n(&vq->msi, __ATOMIC_ACQUIRE);
	if (msi)
		irq_msi_fire(msi);
	return ret;
}

int fs_orphans_serve(struct virtqueue *vq)
{
	struct virtq_chain chain;
	int ret;

	if (!vq->enabled)
		return 0;
	ret = chain_init(&chain);
	if (ret)
		return ret;
	do {
		virtqueue_disable_kicks(vq);
		while ((ret = virtqueue_pop(vq, &chain)) > 0)
			answer(vq, &chain, -ENOTCONN);
	} while (!ret && virtqueue_enable_kicks(vq));
	virtqueue_notify(vq);
	free(chain.iov);
	return ret;
}
