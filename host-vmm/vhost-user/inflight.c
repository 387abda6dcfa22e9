// SPDX-License-Identifier: GPL-2.0-or-later
/* Which requests a dead vhost-user back end had in hand. */
#include "host-vmm/vhost-user/inflight.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/lib/fd.h"

/* Far above 64 queues of 1,024 entries; bounds what is read when a back end has died. */
#define INFLIGHT_SIZE_MAX (64ull << 20)

static size_t queue_stride(const struct vhost_user_inflight *shape)
{
	return shape->mmap_size / shape->n_queues;
}

static size_t queue_bytes(uint16_t queue_size)
{
	return sizeof(struct vhost_inflight_head) +
	       (size_t)queue_size * sizeof(struct vhost_inflight_desc);
}

int vhost_inflight_init(struct vhost_inflight *inflight, int fd,
			const struct vhost_user_inflight *shape, unsigned int n_queues,
			uint16_t queue_size)
{
	*inflight = (struct vhost_inflight){ .fd = fd, .shape = *shape };
	inflight->shape.n_queues = (uint16_t)n_queues;
	inflight->shape.queue_size = queue_size;
	/* Only memfd and tmpfs files answer F_GET_SEALS: a read of those cannot block. */
	if (fcntl(fd, F_GET_SEALS) >= 0 && shape->mmap_size <= INFLIGHT_SIZE_MAX &&
	    shape->mmap_offset <= INFLIGHT_SIZE_MAX &&
	    queue_stride(&inflight->shape) >= queue_bytes(queue_size))
		return 0;
	vhost_inflight_finish(inflight);
	return -EPROTO;
}

void vhost_inflight_finish(struct vhost_inflight *inflight)
{
	fd_close(&inflight->fd);
}

/*
 * A back end gives a batch back in three steps: the list of the batch at last_batch_head, the used
 * ring's index, then the flags and used_idx. If it died after the second, flags of chains that the
 * guest already has are still set: the list tells which.
 */
static int forget_last_batch(const struct vhost_inflight_head *head,
			     struct vhost_inflight_desc *descs, uint16_t used_index)
{
	uint16_t batch = (uint16_t)(used_index - head->used_idx);
	uint16_t at = head->last_batch_head;

	if (batch > head->desc_num)
		return -EPROTO;
	for (uint16_t i = 0; i < batch; i++) {
		if (at >= head->desc_num)
			return -EPROTO;
		descs[at].inflight = 0;
		at = descs[at].next;
	}
	return 0;
}

struct taken {
	uint64_t counter;
	uint16_t head;
};

static int by_counter(const void *left, const void *right)
{
	const struct taken *a = left, *b = right;

	return a->counter < b->counter ? -1 : a->counter > b->counter;
}

static int collect(const struct vhost_inflight_desc *descs, uint16_t n, uint16_t *ret_heads,
		   size_t max)
{
	struct taken *taken = calloc(n, sizeof(*taken));
	size_t count = 0;

	if (!taken)
		return -ENOMEM;
	for (uint16_t i = 0; i < n; i++) {
		if (descs[i].inflight)
			taken[count++] = (struct taken){ descs[i].counter, i };
	}
	qsort(taken, count, sizeof(*taken), by_counter);
	if (count > max)
		count = max;
	for (size_t i = 0; i < count; i++)
		ret_heads[i] = taken[i].head;
	free(taken);
	return (int)count;
}

int vhost_inflight_heads(const struct vhost_inflight *inflight, unsigned int queue,
			 uint16_t used_index, uint16_t *ret_heads, size_t max)
{
	uint16_t size = inflight->shape.queue_size;
	struct vhost_inflight_head *head;
	struct vhost_inflight_desc *descs;
	off_t offset;
	int ret = 0;

	if (inflight->fd < 0)
		return -EOPNOTSUPP;
	if (queue >= inflight->shape.n_queues)
		return -EINVAL;
	head = malloc(queue_bytes(size));
	if (!head)
		return -ENOMEM;
	descs = (struct vhost_inflight_desc *)(head + 1);
	offset = (off_t)(inflight->shape.mmap_offset + queue * queue_stride(&inflight->shape));
	if (pread(inflight->fd, head, queue_bytes(size), offset) != (ssize_t)queue_bytes(size))
		ret = -EPROTO;
	/* All zero: the back end died before it served anything. */
	else if (head->version && head->desc_num)
		ret = head->desc_num <= size ? forget_last_batch(head, descs, used_index) : -EPROTO;
	if (!ret)
		ret = collect(descs, size, ret_heads, max);
	free(head);
	return ret;
}
