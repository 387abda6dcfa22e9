// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host's end of a byte stream.
 *
 * Theory of operation: whatever the kind, a stream is a descriptor to read and one to write. Both
 * are watched one event at a time (EPOLLONESHOT), so that a hung-up peer does not make the loop
 * spin: input is armed while the device wants bytes, output while the device waits for room. Input
 * that the device did not take is kept, at most one chunk, and reading stops. chardev_resume() and
 * chardev_write() may be called under the device's own lock; they never wait for the loop.
 */
#include "host-vmm/chardev.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/chardev_private.h"
#include "host-vmm/loop.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

/* Bytes for one write(2): PIPE_BUF, so that a pipe that is ready does not block. */
#define WRITE_MAX 4096u

static void say_open(struct chardev *chardev, bool open)
{
	if (chardev->events->opened)
		chardev->events->opened(chardev->opaque, open);
}

static ssize_t read_some(int fd, void *bytes, size_t len)
{
	ssize_t n = recv(fd, bytes, len, MSG_DONTWAIT);

	if (n < 0 && errno == ENOTSOCK)
		n = read(fd, bytes, len);
	return n < 0 ? -errno : n;
}

static ssize_t write_some(int fd, const void *bytes, size_t len)
{
	struct pollfd ready = { .fd = fd, .events = POLLOUT };
	ssize_t n = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno == ENOTSOCK) {
		/* Descriptors that could not be made non-blocking are asked first. */
		if (poll(&ready, 1, 0) == 0)
			return -EAGAIN;
		n = write(fd, bytes, len);
	}
	return n < 0 ? -errno : n;
}

/* Whether the other end of a pty or socket has left, which nobody may have noticed: input is not
 * watched while the device takes none. */
static bool has_left(int fd)
{
	struct pollfd end = { .fd = fd };

	return poll(&end, 1, 0) > 0 && (end.revents & POLLHUP);
}

/* The other end is gone. A socket's listener takes the next client; others stay closed. */
static void hang_up(struct chardev *chardev)
{
	bool was_open, waits;

	pthread_mutex_lock(&chardev->lock);
	was_open = chardev->is_open;
	waits = chardev->wants_room;
	chardev->is_open = false;
	chardev->wants_room = false;
	if (chardev->listen_fd >= 0) {
		loop_remove(chardev->in);
		loop_remove(chardev->out);
		chardev->in = chardev->out = NULL;
		fd_close(&chardev->in_fd);
		fd_close(&chardev->out_fd);
	}
	pthread_mutex_unlock(&chardev->lock);
	chardev->kept_len = 0;
	if (was_open)
		say_open(chardev, false);
	/* What is written now is dropped: a device that waits for room must hear of it, or its
	 * guest never writes again. */
	if (waits && chardev->events->writable)
		chardev->events->writable(chardev->opaque);
}

/* Gives what is kept to the device; false if it does not want more now. */
static bool deliver(struct chardev *chardev)
{
	size_t taken;

	if (chardev->kept_len == 0)
		return true;
	/* Before received(), which may make room and call chardev_resume() on its way. */
	__atomic_store_n(&chardev->paused, true, __ATOMIC_SEQ_CST);
	taken = chardev->kept_len;
	if (chardev->events->received)
		taken = chardev->events->received(chardev->opaque, chardev->kept + chardev->kept_at,
						  chardev->kept_len);
	chardev->kept_at += taken;
	chardev->kept_len -= taken;
	if (chardev->kept_len > 0)
		return false;
	__atomic_store_n(&chardev->paused, false, __ATOMIC_SEQ_CST);
	return true;
}

/* Input ended for good: a pipe's or file's end. Output goes on; where there is none, nobody is left
 * at the other end, and the device hears of it behind the last byte. */
static void end_input(struct chardev *chardev)
{
	loop_remove(chardev->in);
	chardev->in = NULL;
	fd_close(&chardev->in_fd);
	if (chardev->out_fd < 0)
		hang_up(chardev);
}

/* One chunk; false when there is nothing more to read now. */
static bool read_chunk(struct chardev *chardev)
{
	ssize_t n = read_some(chardev->in_fd, chardev->kept, sizeof(chardev->kept));

	if (n == -EAGAIN || n == -EINTR)
		return false;
	if (n <= 0) {
		if (chardev->is_pty || chardev->listen_fd >= 0)
			hang_up(chardev);
		else
			end_input(chardev);
		return false;
	}
	chardev->kept_at = 0;
	chardev->kept_len = n;
	return true;
}

static void on_input(void *opaque, uint32_t epoll_events)
{
	struct chardev *chardev = opaque;

	(void)epoll_events;
	if (chardev->in_fd < 0 || !deliver(chardev))
		return;
	while (read_chunk(chardev)) {
		if (!deliver(chardev))
			return;
		if (chardev->in_pollable)
			break;
	}
	/* A pty that nobody holds open is armed again when inotify says so. */
	if (chardev->in && (chardev->is_open || !chardev->is_pty))
		(void)loop_modify(chardev->in, EPOLLIN | EPOLLONESHOT);
}

static void on_wake(void *opaque, uint32_t epoll_events)
{
	struct chardev *chardev = opaque;
	uint64_t count;

	(void)!read(chardev->wake_fd, &count, sizeof(count));
	if (__atomic_exchange_n(&chardev->reader_gone, false, __ATOMIC_SEQ_CST))
		say_open(chardev, false);
	on_input(chardev, epoll_events);
}

static void on_output(void *opaque, uint32_t epoll_events)
{
	struct chardev *chardev = opaque;
	bool tell;

	(void)epoll_events;
	pthread_mutex_lock(&chardev->lock);
	tell = chardev->wants_room;
	chardev->wants_room = false;
	pthread_mutex_unlock(&chardev->lock);
	if (tell && chardev->events->writable)
		chardev->events->writable(chardev->opaque);
}

static int watch_ends(struct chardev *chardev)
{
	int ret;

	if (chardev->in_fd >= 0) {
		ret = loop_add(chardev->loop, chardev->in_fd, EPOLLONESHOT, on_input, chardev,
			       &chardev->in);
		chardev->in_pollable = ret == 0;
		if (ret < 0 && ret != -EPERM)
			return ret;
	}
	if (chardev->out_fd >= 0) {
		ret = loop_add(chardev->loop, chardev->out_fd, EPOLLONESHOT, on_output, chardev,
			       &chardev->out);
		chardev->out_pollable = ret == 0;
		if (ret < 0 && ret != -EPERM)
			return ret;
	}
	return 0;
}

/* A client that left gives way to the next one: what it wrote goes to the device as far as that
 * takes any now, and the rest is dropped. */
static void let_go(struct chardev *chardev)
{
	while (chardev->in_fd >= 0 && !__atomic_load_n(&chardev->paused, __ATOMIC_SEQ_CST) &&
	       deliver(chardev) && read_chunk(chardev))
		continue;
	if (chardev->in_fd >= 0)
		hang_up(chardev);
}

static void on_client(void *opaque, uint32_t epoll_events)
{
	struct chardev *chardev = opaque;
	int fd = unix_accept(chardev->listen_fd, &chardev->spare_fd);
	int ret;

	(void)epoll_events;
	if (fd < 0)
		return;
	if (chardev->in_fd >= 0 && has_left(chardev->in_fd))
		let_go(chardev);
	if (chardev->in_fd >= 0) {
		close(fd);
		return;
	}
	pthread_mutex_lock(&chardev->lock);
	chardev->in_fd = fd;
	chardev->out_fd = dup(fd);
	ret = chardev->out_fd < 0 ? -errno : watch_ends(chardev);
	chardev->is_open = ret == 0;
	pthread_mutex_unlock(&chardev->lock);
	if (ret < 0) {
		hang_up(chardev);
		return;
	}
	say_open(chardev, true);
	if (!__atomic_load_n(&chardev->paused, __ATOMIC_SEQ_CST))
		on_input(chardev, 0);
}

static void on_pty_opened(void *opaque, uint32_t epoll_events)
{
	struct chardev *chardev = opaque;
	struct pollfd end = { .fd = chardev->in_fd, .events = POLLIN };
	char events[512];
	bool came = false;

	(void)epoll_events;
	while (read(chardev->watch_fd, events, sizeof(events)) > 0)
		continue;
	if (poll(&end, 1, 0) < 0 || (end.revents & POLLHUP))
		return;
	pthread_mutex_lock(&chardev->lock);
	came = !chardev->is_open;
	chardev->is_open = true;
	pthread_mutex_unlock(&chardev->lock);
	if (came)
		say_open(chardev, true);
	if (!__atomic_load_n(&chardev->paused, __ATOMIC_SEQ_CST))
		on_input(chardev, 0);
}

static int watch_all(struct chardev *chardev)
{
	int ret;

	chardev->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (chardev->wake_fd < 0)
		return -errno;
	ret = watch_ends(chardev);
	if (ret == 0)
		ret = loop_add(chardev->loop, chardev->wake_fd, EPOLLIN, on_wake, chardev,
			       &chardev->wake);
	if (ret == 0 && chardev->listen_fd >= 0)
		ret = loop_add(chardev->loop, chardev->listen_fd, EPOLLIN, on_client, chardev,
			       &chardev->listen);
	if (ret == 0 && chardev->watch_fd >= 0)
		ret = loop_add(chardev->loop, chardev->watch_fd, EPOLLIN, on_pty_opened, chardev,
			       &chardev->watch);
	return ret;
}

int chardev_create(const char *name, const char *backend, const char *dir, struct loop *loop,
		   const struct chardev_events *events, void *opaque, struct chardev **ret_chardev)
{
	struct chardev *chardev = calloc(1, sizeof(*chardev));
	const char *remedy = "try again with fewer programs running";
	int ret;

	if (!chardev)
		return -ENOMEM;
	chardev->loop = loop;
	chardev->events = events;
	chardev->opaque = opaque;
	chardev->paused = true;
	chardev->wake_fd = chardev->listen_fd = chardev->spare_fd = chardev->watch_fd = -1;
	chardev->in_fd = chardev->out_fd = -1;
	pthread_mutex_init(&chardev->lock, NULL);
	ret = chardev_open(chardev, backend, dir, &remedy);
	if (ret == 0)
		ret = watch_all(chardev);
	if (ret < 0) {
		log_error("%s: back end '%s' cannot be opened: %s; %s", name, backend,
			  strerror(-ret), remedy);
		chardev_destroy(chardev);
		return ret;
	}
	if (chardev->is_pty)
		log_info("%s is at %s", name, chardev->path);
	*ret_chardev = chardev;
	return 0;
}

/* On the loop's thread, where no callback runs meanwhile. */
static void unwatch_all(void *opaque)
{
	struct chardev *chardev = opaque;

	loop_remove(chardev->listen);
	loop_remove(chardev->watch);
	loop_remove(chardev->wake);
	loop_remove(chardev->in);
	loop_remove(chardev->out);
}

void chardev_destroy(struct chardev *chardev)
{
	if (!chardev)
		return;
	loop_call(chardev->loop, unwatch_all, chardev);
	chardev_close(chardev);
	fd_close(&chardev->wake_fd);
	fd_close(&chardev->listen_fd);
	fd_close(&chardev->spare_fd);
	fd_close(&chardev->watch_fd);
	fd_close(&chardev->in_fd);
	fd_close(&chardev->out_fd);
	pthread_mutex_destroy(&chardev->lock);
	free(chardev->path);
	free(chardev);
}

/* Under lock. */
static size_t write_locked(struct chardev *chardev, const uint8_t *bytes, size_t len)
{
	size_t done = 0;

	while (done < len && chardev->is_open && chardev->out_fd >= 0) {
		size_t part = len - done < WRITE_MAX ? len - done : WRITE_MAX;
		ssize_t n = write_some(chardev->out_fd, bytes + done, part);

		if (n == -EINTR)
			continue;
		/* What waits in a pty that nobody holds open is no reason to wait. */
		if (n == -EAGAIN && chardev->out &&
		    !(chardev->is_pty && has_left(chardev->out_fd))) {
			chardev->wants_room = true;
			(void)loop_modify(chardev->out, EPOLLOUT | EPOLLONESHOT);
			return done;
		}
		if (n <= 0) {
			/* The reader's end tells a socket's or pty's device that it is closed. Our
			 * own file has no reader who left: its disk is full, and may have room
			 * later. */
			if (chardev->listen_fd < 0 && !chardev->is_pty && !chardev->capped) {
				uint64_t one = 1;

				/* Told by the loop: the caller may hold the device's lock. */
				chardev->is_open = false;
				__atomic_store_n(&chardev->reader_gone, true, __ATOMIC_SEQ_CST);
				(void)!write(chardev->wake_fd, &one, sizeof(one));
			}
			return len;
		}
		done += n;
		chardev->size += n;
		if (chardev->capped && chardev->size > CHARDEV_FILE_MAX)
			chardev_trim(chardev);
	}
	return len;
}

size_t chardev_write(struct chardev *chardev, const void *bytes, size_t len)
{
	size_t taken;

	pthread_mutex_lock(&chardev->lock);
	taken = write_locked(chardev, bytes, len);
	pthread_mutex_unlock(&chardev->lock);
	return taken;
}

void chardev_resume(struct chardev *chardev)
{
	uint64_t one = 1;

	if (__atomic_exchange_n(&chardev->paused, false, __ATOMIC_SEQ_CST))
		(void)!write(chardev->wake_fd, &one, sizeof(one));
}

bool chardev_is_open(struct chardev *chardev)
{
	bool open;

	pthread_mutex_lock(&chardev->lock);
	open = chardev->is_open;
	pthread_mutex_unlock(&chardev->lock);
	return open;
}

const char *chardev_path(const struct chardev *chardev)
{
	return chardev->path;
}
