// SPDX-License-Identifier: GPL-2.0-or-later
/* FORGETs held back and joined. */
#include "shared-fs/guest/forgets.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>

#include "protocol/lib/fd.h"

/* Requests that take up no room at the host, so that what is held may be sent behind them. */
static const uint32_t frugal[] = {
	FUSE_LOOKUP,  FUSE_GETATTR, FUSE_READLINK,     FUSE_UNLINK,	FUSE_RMDIR,
	FUSE_OPEN,    FUSE_READ,    FUSE_RELEASE,      FUSE_FLUSH,	FUSE_GETXATTR,
	FUSE_OPENDIR, FUSE_READDIR, FUSE_READDIRPLUS,  FUSE_RELEASEDIR, FUSE_LISTXATTR,
	FUSE_ACCESS,  FUSE_FORGET,  FUSE_BATCH_FORGET, FUSE_INTERRUPT,
};

int forgets_init(struct forgets *forgets)
{
	forgets->n = 0;
	forgets->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (forgets->timer_fd < 0)
		return -errno;
	pthread_mutex_init(&forgets->lock, NULL);
	return 0;
}

void forgets_end(struct forgets *forgets)
{
	pthread_mutex_destroy(&forgets->lock);
	fd_close(&forgets->timer_fd);
}

bool forgets_hold(struct forgets *forgets, const void *request, size_t size)
{
	const struct itimerspec soon = { .it_value.tv_nsec = FORGETS_HELD_MS * 1000000L };
	struct fuse_forget_in forget;
	struct fuse_in_header header;
	bool held;

	memcpy(&header, request, sizeof(header));
	if (header.opcode != FUSE_FORGET || size != sizeof(header) + sizeof(forget))
		return false;
	memcpy(&forget, (const uint8_t *)request + sizeof(header), sizeof(forget));
	pthread_mutex_lock(&forgets->lock);
	/* The first one starts the time; where that fails nothing is held. */
	held = forgets->n < FORGETS_MAX &&
	       (forgets->n > 0 || !timerfd_settime(forgets->timer_fd, 0, &soon, NULL));
	if (held) {
		forgets->items[forgets->n] =
			(struct fuse_forget_one){ header.nodeid, forget.nlookup };
		forgets->unique = header.unique;
		__atomic_store_n(&forgets->n, forgets->n + 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&forgets->lock);
	return held;
}

bool forgets_go_before(const struct forgets *forgets, const struct fuse_in_header *request)
{
	if (!__atomic_load_n(&forgets->n, __ATOMIC_RELAXED))
		return false;
	for (size_t i = 0; i < sizeof(frugal) / sizeof(frugal[0]); i++) {
		if (frugal[i] == request->opcode)
			return false;
	}
	return true;
}

size_t forgets_take(struct forgets *forgets, void *message)
{
	struct fuse_in_header header = { .opcode = FUSE_BATCH_FORGET };
	struct fuse_batch_forget_in batch = { 0 };
	uint8_t *at = message;
	size_t bytes;

	pthread_mutex_lock(&forgets->lock);
	batch.count = forgets->n;
	bytes = forgets->n * sizeof(forgets->items[0]);
	header.unique = forgets->unique;
	memcpy(at + sizeof(header) + sizeof(batch), forgets->items, bytes);
	__atomic_store_n(&forgets->n, 0, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&forgets->lock);
	if (!batch.count)
		return 0;
	header.len = (uint32_t)(sizeof(header) + sizeof(batch) + bytes);
	memcpy(at, &header, sizeof(header));
	memcpy(at + sizeof(header), &batch, sizeof(batch));
	return header.len;
}
