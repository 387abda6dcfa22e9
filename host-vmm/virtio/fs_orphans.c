// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * FUSE requests without a server: answered with an error.
 *
 * Theory of operation. A back end takes chains off the available ring in order and gives them back
 * in any order. When it dies, the chains are of three kinds: given back (in the used ring), in hand
 * (taken, not given back), waiting (not taken). Where it kept a record (vhost-user's in-flight
 * memory), the record names those in hand; taken = given back + in hand, which tells where the
 * waiting ones begin. Those in hand are answered with EIO and are not given to the next server: a
 * mkdir or an appending write that was half done must not be done twice. Where there is no record,
 * the back end is taken to serve in order, as the C virtiofsd does: then all behind the used index
 * is in hand or waiting, and all of it is answered.
 */
#include "host-vmm/virtio/fs_orphans.h"

#include <errno.h>
#include <linux/fuse.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>

#include "host-vmm/irq.h"
#include "host-vmm/memory.h"
#include "host-vmm/vhost-user/frontend.h"
#include "host-vmm/virtio/queue.h"

/* used->idx of a split ring: virtio 1.2, section 2.7.8. */
#define USED_IDX_OFFSET 2

static int chain_init(struct virtq_chain *chain)
{
	*chain = (struct virtq_chain){ .iov_max = VIRTQUEUE_CHAIN_MAX };
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

	if (!desc->len)
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
	if (ret == -EPROTO)
		virtqueue_break(vq, "a request in the hands of the back end was overwritten");
	return ret;
}

int fs_orphans_take_over(struct virtqueue *vq, const struct vhost_user *vu)
{
	struct irq_msi *msi;
	uint16_t *heads;
	uint16_t used;
	int count, ret;

	if (!vq->enabled)
		return 0;
	ret = memory_read(vq->memory, vq->device + USED_IDX_OFFSET, &used, sizeof(used));
	if (ret)
		return ret;
	heads = calloc(vq->size, sizeof(*heads));
	if (!heads)
		return -ENOMEM;
	count = vhost_user_inflight(vu, vq->index, used, heads, vq->size);
	if (count < 0)
		count = 0;
	vq->used = used;
	vq->last_avail = vq->avail = (uint16_t)(used + count);
	ret = answer_in_hand(vq, heads, count);
	free(heads);
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
