/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost-user front end: gives the queues of a virtio device to another process.
 *
 * Life of a connection:
 *
 *	create		takes a connected socket
 *	handshake	features, protocol features, number of queues, ownership
 *	start		memory table, queues; the back end serves the guest from here on
 *	stop		back to after the handshake; tells how far each queue was served
 *	destroy		closes the socket
 *
 * Between start and stop nothing of ours lies on the path of a request: the doorbell's eventfd and
 * the interrupt's eventfd belong to guest and back end alone.
 *
 * The back end is not trusted. Every call is bounded in time (5 s in all unless set otherwise),
 * replies are checked, and the first offence or timeout breaks the connection: from then on every
 * call fails with the same errno, and vhost_user_why() tells in words. -EPIPE: the peer is gone.
 * -ETIMEDOUT: it is silent. -EPROTO: it broke the protocol. -ENOTSUP: it lacks what is needed.
 * -EREMOTEIO: it refused a request. What cannot be bounded: a back end that was given guest memory
 * can write there until it is dead; whoever must be sure ends the process.
 *
 * Source of the protocol: <lodge/vhost_user.h>, protocol/spec/vhost-user.md.
 *
 * Locking: none; one thread at a time.
 */
#ifndef LODGE_VMM_VHOST_FRONTEND_H
#define LODGE_VMM_VHOST_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory;
struct vhost_user;

/* Queue numbers travel in 8 bits (VHOST_USER_VRING_INDEX_MASK); we never use more than this. */
#define VHOST_USER_QUEUES_MAX 64

struct vhost_user_vring {
	uint16_t size; /* entries; 0: the driver does not use this queue, it is left out */
	uint16_t base; /* next index of the available ring that is to be served */
	uint64_t desc, available, used; /* guest-physical */
	int kick_fd; /* eventfd of the doorbell */
	int call_fd; /* eventfd of the interrupt, or -1 where the driver wants none */
	int err_fd; /* eventfd that the back end signals when the ring is broken, or -1 */
};

/* Takes @socket over, also on failure. @timeout_ms of 0 means 5,000. */
int vhost_user_create(int socket, unsigned int timeout_ms, struct vhost_user **ret_vu);
/* Another limit for what is asked from here on. */
void vhost_user_set_timeout(struct vhost_user *vu, unsigned int timeout_ms);
/* NULL is fine. */
void vhost_user_destroy(struct vhost_user *vu);

/* Before the handshake: the device can have shared memory regions (GET_SHMEM_CONFIG), and whoever
 * calls this will send the back end a channel for its requests. */
void vhost_user_want_shmem(struct vhost_user *vu);

/*
 * Once, after create. @needed: virtio feature bits without which the device cannot run; -ENOTSUP
 * names the first that is missing.
 */
int vhost_user_handshake(struct vhost_user *vu, uint64_t needed);
/* After the handshake: the virtio features that the back end offers; how many queues it has, or 0
 * where it cannot tell. */
uint64_t vhost_user_features(const struct vhost_user *vu);
unsigned int vhost_user_queue_limit(const struct vhost_user *vu);

/* How many bytes shared memory region @shmid has; 0: the back end has none. */
uint64_t vhost_user_shmem_size(const struct vhost_user *vu, uint8_t shmid);
/* Sends the back end's end (borrowed) of the channel for its requests. */
int vhost_user_set_backend_fd(struct vhost_user *vu, int fd);

/*
 * Starts queues 0 to @n - 1. @driver_features: what guest and device agreed on. -EFAULT where a
 * ring lies outside RAM (the connection stays usable).
 */
int vhost_user_start(struct vhost_user *vu, uint64_t driver_features, const struct memory *memory,
		     const struct vhost_user_vring *rings, unsigned int n);
/*
 * Ends what start began; no request is in flight and no more memory is touched by a back end that
 * keeps to the protocol. @ret_bases (room for @n of start, or NULL) gets the next available index
 * of each queue. Fine when not started.
 */
int vhost_user_stop(struct vhost_user *vu, uint16_t *ret_bases);

/*
 * Which chains the back end took off @queue and had not given back when it died: their heads in
 * the order in which they were taken, at most @max; the count. @used_index is the guest's used
 * ring's. -EOPNOTSUPP where the back end keeps no record of it, -EPROTO where the record is no
 * record. Works on a broken connection: that is what it is for.
 */
int vhost_user_inflight(const struct vhost_user *vu, unsigned int queue, uint16_t used_index,
			uint16_t *ret_heads, size_t max);

/* To watch for EPOLLIN | EPOLLRDHUP between calls; then ask check(): 0 if all is well. */
int vhost_user_fd(const struct vhost_user *vu);
int vhost_user_check(struct vhost_user *vu);
/* After a failure: what the back end did, to follow its name in a message: "closed the
 * connection". Owned by @vu. */
const char *vhost_user_why(const struct vhost_user *vu);

#endif
