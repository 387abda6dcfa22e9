// SPDX-License-Identifier: GPL-2.0-or-later
/* The back end's requests: one message at a time, as it comes, never waited for. */
#include "host-vmm/vhost-user/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "host-vmm/loop.h"
#include "protocol/lib/fd.h"

#define WHY_MAX 96

struct vhost_channel {
	const struct vhost_channel_ops *ops;
	void *opaque;
	struct loop *loop;
	int socket;
	struct loop_source *watch; /* the loop's thread: it may go at any time */
	bool ended;
	/* The message that is coming in, header and payload: */
	uint8_t message[sizeof(struct vhost_user_header) + sizeof(struct vhost_user_mmap)];
	size_t have; /* bytes of it */
	int fd; /* -1: none came yet */
};

static void end(struct vhost_channel *channel, const char *why)
{
	channel->ended = true;
	/* The back end sees the end, and whatever it sends on is the kernel's to throw away. */
	shutdown(channel->socket, SHUT_RDWR);
	loop_remove(channel->watch);
	channel->watch = NULL;
	if (why)
		channel->ops->broken(channel->opaque, why);
}

static void __attribute__((format(printf, 2, 3)))
end_with(struct vhost_channel *channel, const char *format, ...)
{
	char why[WHY_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	end(channel, why);
}

static void reply(struct vhost_channel *channel, uint32_t request, bool refused)
{
	const struct vhost_user_header header = { request,
						  VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY,
						  sizeof(uint64_t) };
	const uint64_t status = refused;
	uint8_t answer[sizeof(header) + sizeof(status)];
	ssize_t sent;

	memcpy(answer, &header, sizeof(header));
	memcpy(answer + sizeof(header), &status, sizeof(status));
	do {
		sent = send(channel->socket, answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (sent < 0 && errno == EINTR);
	/* A back end that reads no answers while it sends requests gets neither. */
	if (sent < 0 && errno != EAGAIN)
		end(channel, NULL);
	else if (sent != (ssize_t)sizeof(answer))
		end(channel, "does not read the answers to its requests");
}

static bool has_padding(const struct vhost_user_mmap *mmap)
{
	for (size_t i = 0; i < sizeof(mmap->padding); i++) {
		if (mmap->padding[i])
			return true;
	}
	return false;
}

/* A message is whole. */
static void serve(struct vhost_channel *channel)
{
	autofd fd = fd_steal(&channel->fd);
	struct vhost_user_header header;
	struct vhost_user_mmap mmap;
	int ret;

	memcpy(&header, channel->message, sizeof(header));
	memcpy(&mmap, channel->message + sizeof(header), sizeof(mmap));
	channel->have = 0;
	if (has_padding(&mmap) || mmap.flags & ~(uint64_t)VHOST_USER_MMAP_WRITE)
		ret = -EINVAL;
	else if (header.request == VHOST_USER_BACKEND_SHMEM_MAP)
		ret = fd < 0 ? -EBADF : channel->ops->map(channel->opaque, &mmap, fd);
	else
		ret = channel->ops->unmap(channel->opaque, &mmap);
	if (header.flags & VHOST_USER_FLAG_NEED_REPLY)
		reply(channel, header.request, ret);
}

/* As soon as the header is there. */
static void check_header(struct vhost_channel *channel)
{
	struct vhost_user_header header;

	memcpy(&header, channel->message, sizeof(header));
	if ((header.flags & (VHOST_USER_VERSION_MASK | VHOST_USER_FLAG_REPLY)) !=
	    VHOST_USER_VERSION)
		end_with(channel, "sent a request with flags 0x%x", header.flags);
	else if (header.request != VHOST_USER_BACKEND_SHMEM_MAP &&
		 header.request != VHOST_USER_BACKEND_SHMEM_UNMAP)
		end_with(channel, "sent request %u, which was not agreed on", header.request);
	else if (header.size != sizeof(struct vhost_user_mmap))
		end_with(channel, "sent a request of %u bytes to map or unmap", header.size);
}

static void take_fds(struct vhost_channel *channel, const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (channel->fd < 0)
			channel->fd = fds[i];
		else
			close(fds[i]);
	}
}

/* One read, up to the end of the message: descriptors never belong to the next one. */
static void on_readable(void *opaque, uint32_t events)
{
	struct vhost_channel *channel = opaque;
	size_t header = sizeof(struct vhost_user_header);
	size_t wanted = channel->have < header ? header : sizeof(channel->message);
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t got;

	(void)events;
	if (channel->ended)
		return;
	got = fd_recv(channel->socket, channel->message + channel->have, wanted - channel->have,
		      fds, &n_fds);
	if (got == -EAGAIN || got == -EINTR)
		return;
	if (got <= 0) {
		end(channel, got == -EPROTO ? "sent too many descriptors" : NULL);
		return;
	}
	take_fds(channel, fds, n_fds);
	channel->have += (size_t)got;
	if (channel->have == header)
		check_header(channel);
	else if (channel->have == sizeof(channel->message))
		serve(channel);
}

static void watch_here(void *opaque)
{
	struct vhost_channel *channel = opaque;

	(void)loop_add(channel->loop, channel->socket, EPOLLIN, on_readable, channel,
		       &channel->watch);
}

static void unwatch_here(void *opaque)
{
	struct vhost_channel *channel = opaque;

	loop_remove(channel->watch);
	channel->watch = NULL;
}

int vhost_channel_create(struct loop *loop, const struct vhost_channel_ops *ops, void *opaque,
			 struct vhost_channel **ret_channel, int *ret_peer)
{
	struct vhost_channel *channel = calloc(1, sizeof(*channel));
	int pair[2];
	int ret;

	if (!channel)
		return -ENOMEM;
	*channel = (struct vhost_channel){
		.ops = ops, .opaque = opaque, .loop = loop, .socket = -1, .fd = -1
	};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		ret = -errno;
		free(channel);
		return ret;
	}
	channel->socket = pair[0];
	ret = fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
	if (!ret)
		loop_call(loop, watch_here, channel);
	if (!ret && !channel->watch)
		ret = -ENOMEM;
	if (ret) {
		close(pair[1]);
		vhost_channel_destroy(channel);
		return ret;
	}
	*ret_channel = channel;
	*ret_peer = pair[1];
	return 0;
}

void vhost_channel_destroy(struct vhost_channel *channel)
{
	if (!channel)
		return;
	loop_call(channel->loop, unwatch_here, channel);
	fd_close(&channel->socket);
	fd_close(&channel->fd);
	free(channel);
}
