/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back end's own requests (VHOST_USER_SET_BACKEND_REQ_FD): pieces of files to be mapped into a
 * shared memory region of the device, and to be unmapped.
 *
 * The peer is as hostile as on the front end's connection. The socket is never waited for, a
 * message is taken in as it comes, checked whole and answered from a copy; the first offence
 * against the protocol ends the channel. Refusing a request is no offence of anybody's.
 *
 * The channel runs on a loop that must not be the one that waits for the back end's replies: a back
 * end may ask for a mapping while it is asked to stop, and answers when it has got it.
 *
 * Source: QEMU's docs/interop/vhost-user.rst, "Back-end message types"; <lodge/vhost_user.h>.
 */
#ifndef LODGE_VMM_VHOST_CHANNEL_H
#define LODGE_VMM_VHOST_CHANNEL_H

#include <lodge/vhost_user.h>

struct loop;
struct vhost_channel;

/* Called on the channel's loop. */
struct vhost_channel_ops {
	/* 0 or a negative errno, which the back end hears as a refusal. @fd is borrowed. Ranges and
	 * flags are as they came, but for padding and unknown flags, which are refused before. */
	int (*map)(void *opaque, const struct vhost_user_mmap *mmap, int fd);
	int (*unmap)(void *opaque, const struct vhost_user_mmap *mmap);
	/* The back end broke the protocol: the channel reads no more. @why follows "the back end".
	 * Not called where the back end closes the channel. */
	void (*broken)(void *opaque, const char *why);
};

/*
 * Makes the pair of sockets; *ret_peer is the back end's end and the caller's to close once it is
 * sent. -errno of socketpair(2), epoll_ctl(2), or -ENOMEM.
 */
int vhost_channel_create(struct loop *loop, const struct vhost_channel_ops *ops, void *opaque,
			 struct vhost_channel **ret_channel, int *ret_peer);
/* No operation runs any more afterwards. Not on the channel's loop from within one. NULL is fine.
 */
void vhost_channel_destroy(struct vhost_channel *channel);

#endif
