/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The record of requests in flight that a vhost-user back end keeps in a file shared with the
 * front end (VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD), read after the back end has died.
 *
 * Source of the layout: QEMU's docs/interop/vhost-user.rst, "Inflight I/O tracking", split rings:
 * the buffer is divided evenly among the queues; each has a head of 16 bytes and 16 bytes for each
 * descriptor, in native byte order.
 *
 * The file is the back end's to write and to truncate, so it is never mapped here: it is read into
 * private memory once and checked.
 */
#ifndef LODGE_VMM_VHOST_INFLIGHT_H
#define LODGE_VMM_VHOST_INFLIGHT_H

#include <stddef.h>
#include <stdint.h>

#include <lodge/vhost_user.h>

struct vhost_inflight_head {
	uint64_t features;
	uint16_t version; /* 1 */
	uint16_t desc_num;
	uint16_t last_batch_head; /* first of the list of the batch that was last given back */
	uint16_t used_idx; /* of the used ring, after the batch before */
};
_Static_assert(sizeof(struct vhost_inflight_head) == 16, "shared layout");

struct vhost_inflight_desc {
	uint8_t inflight; /* taken from the available ring, not given back */
	uint8_t padding[5];
	uint16_t next; /* of the list at last_batch_head */
	uint64_t counter; /* order of taking */
};
_Static_assert(sizeof(struct vhost_inflight_desc) == 16, "shared layout");

struct vhost_inflight {
	int fd; /* owned; -1: there is none */
	struct vhost_user_inflight shape; /* as the back end described it */
};

/*
 * Takes over @fd as described by @shape for @n_queues queues of @queue_size. -EPROTO, with @fd
 * closed, where it is no shared memory or too small or too large.
 */
int vhost_inflight_init(struct vhost_inflight *inflight, int fd,
			const struct vhost_user_inflight *shape, unsigned int n_queues,
			uint16_t queue_size);
void vhost_inflight_finish(struct vhost_inflight *inflight);

/* As vhost_user_inflight(). */
int vhost_inflight_heads(const struct vhost_inflight *inflight, unsigned int queue,
			 uint16_t used_index, uint16_t *ret_heads, size_t max);

#endif
