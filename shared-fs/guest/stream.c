// SPDX-License-Identifier: GPL-2.0-or-later
/* FUSE messages between the kernel and a stream. */
#include "shared-fs/guest/stream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <lodge/fs_device.h>
#include <lodge/fs_stream.h>

#include "protocol/lib/fd.h"
#include "protocol/lib/fs_stream.h"
#include "protocol/lib/log.h"
#include "protocol/lib/thread.h"
#include "shared-fs/guest/message.h"

#define STACK_SIZE (64u << 10)

struct stream {
	int fuse_fd, messages_fd;
	int over_fd; /* eventfd */
	int result; /* of who ended it first; atomic */
	pthread_t sender, receiver;
	struct log_ratelimit bad_replies;
	uint64_t request[LODGE_FS_STREAM_MESSAGE_MAX / sizeof(uint64_t)];
	uint64_t replies[LODGE_FS_STREAM_MESSAGE_MAX / sizeof(uint64_t)];
};

#define NOT_OVER 1

static void end(struct stream *stream, int result)
{
	const uint64_t one = 1;
	int expected = NOT_OVER;

	if (!__atomic_compare_exchange_n(&stream->result, &expected, result, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return;
	if (write(stream->over_fd, &one, sizeof(one)) < 0)
		log_debug("eventfd: %s", strerror(errno));
}

static bool is_over(struct stream *stream)
{
	return __atomic_load_n(&stream->result, __ATOMIC_ACQUIRE) != NOT_OVER;
}

static int send_request(const struct stream *stream, const void *request, size_t size)
{
	uint64_t part[LODGE_FS_MESSAGE_MAX / sizeof(uint64_t)];
	struct fuse_in_header header;
	struct message_cut cut;
	int err = 0;
	size_t n;

	if (!message_is_request(request, size))
		return 0;
	memcpy(&header, request, sizeof(header));
	/* The kernel fills whatever buffer it is given, and lodge-fsd takes 64 KiB. */
	if (header.opcode != FUSE_BATCH_FORGET || !message_cut_begin(&cut, request, size))
		return fd_write_all(stream->messages_fd, request, size);
	while (!err && (n = message_cut_next(&cut, part, sizeof(part))))
		err = fd_write_all(stream->messages_fd, part, n);
	return err;
}

static void *send_requests(void *arg)
{
	struct stream *stream = arg;

	while (!is_over(stream)) {
		ssize_t n = read(stream->fuse_fd, stream->request, sizeof(stream->request));

		if (n > 0 && send_request(stream, stream->request, (size_t)n))
			end(stream, -ECONNRESET);
		else if (!n || (n < 0 && errno == ENODEV))
			end(stream, 0);
		else if (n < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT)
			end(stream, -errno);
	}
	return NULL;
}

/* One whole reply. The kernel has no use for one whose request was aborted. */
static void answer(struct stream *stream, const void *reply, size_t size)
{
	struct fuse_out_header header;

	memcpy(&header, reply, sizeof(header));
	if (message_is_reply(header.unique, reply, size) &&
	    (write(stream->fuse_fd, reply, size) == (ssize_t)size || errno != EINVAL))
		return;
	log_ratelimited(&stream->bad_replies, LOG_LEVEL_WARN,
			"the host's reply of %zu bytes to request %llu makes no sense", size,
			(unsigned long long)header.unique);
	header = message_error(header.unique, -EIO);
	if (write(stream->fuse_fd, &header, sizeof(header)) < 0)
		log_debug("an error: %s", strerror(errno));
}

/* The replies that are whole; what is left of @have bytes. */
static long answer_all(struct stream *stream, size_t have)
{
	uint8_t *bytes = (uint8_t *)stream->replies;
	size_t at = 0;
	long len;

	while ((len = fs_stream_message(bytes + at, have - at, FS_STREAM_REPLY_HEADER)) > 0) {
		answer(stream, bytes + at, (size_t)len);
		at += (size_t)len;
	}
	memmove(bytes, bytes + at, have - at);
	return len < 0 ? len : (long)(have - at);
}

static void *take_replies(void *arg)
{
	struct stream *stream = arg;
	long have = 0;

	while (!is_over(stream)) {
		ssize_t n = read(stream->messages_fd, (uint8_t *)stream->replies + have,
				 sizeof(stream->replies) - (size_t)have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			end(stream, -ECONNRESET);
			break;
		}
		have = answer_all(stream, (size_t)(have + n));
		if (have < 0)
			end(stream, (int)have);
	}
	return NULL;
}

int stream_start(int fuse_fd, int messages_fd, struct stream **ret_stream)
{
	struct stream *stream = calloc(1, sizeof(*stream));
	int err;

	if (!stream)
		return -ENOMEM;
	stream->fuse_fd = fuse_fd;
	stream->messages_fd = messages_fd;
	stream->result = NOT_OVER;
	stream->over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = stream->over_fd < 0 ? -errno : 0;
	if (!err)
		err = thread_start(&stream->receiver, STACK_SIZE, 0, take_replies, stream);
	if (err)
		goto free_stream;
	err = thread_start(&stream->sender, STACK_SIZE, 0, send_requests, stream);
	if (err) {
		end(stream, err);
		/* Which its read(2) sees. */
		shutdown(stream->messages_fd, SHUT_RDWR);
		pthread_join(stream->receiver, NULL);
		goto free_stream;
	}
	*ret_stream = stream;
	return 0;
free_stream:
	fd_close(&stream->over_fd);
	free(stream);
	return err;
}

int stream_over_fd(const struct stream *stream)
{
	return stream->over_fd;
}

int stream_result(const struct stream *stream)
{
	return stream->result;
}

void stream_destroy(struct stream *stream)
{
	pthread_join(stream->sender, NULL);
	pthread_join(stream->receiver, NULL);
	fd_close(&stream->over_fd);
	free(stream);
}
