// SPDX-License-Identifier: GPL-2.0-or-later
/* Ways 2 and 3: one process for each device, from mount(2) to its end. */
#include "shared-fs/guest/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <lodge/fs_stream.h>

#include "protocol/lib/child.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/fs_stream.h"
#include "protocol/lib/log.h"
#include "protocol/lib/read_ahead.h"
#include "shared-fs/guest/device.h"
#include "shared-fs/guest/message.h"
#include "shared-fs/guest/mounts.h"
#include "shared-fs/guest/pump.h"
#include "shared-fs/guest/stream.h"

#define INIT_TIMEOUT_MS 20000
#define BUSY_WAIT_MS	2000
/* linux/prctl.h of 5.6 and newer */
#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

struct serving {
	const struct serve_wish *wish;
	int fuse_fd;
	int device_fd; /* or the stream of way 3 */
	struct lodge_fs_info info; /* way 2 */
	struct stream *stream; /* way 3 */
	char device[sizeof(((struct mounts_seen *)0)->device)]; /* number of the mounted one */
	struct pump *pump;
};

static bool by_stream(const struct serving *serving)
{
	return serving->wish->messages_fd >= 0;
}

/* Bytes that a request or a reply may carry. */
static uint32_t data_most(const struct serving *serving)
{
	return by_stream(serving) ? LODGE_FS_STREAM_DATA_MAX : device_data_most(&serving->info);
}

static int mount_fuse(const struct serving *serving)
{
	char data[128];

	/* As the kernel's virtiofs does: the guest's kernel checks modes, and all users may come.
	 */
	snprintf(
		data, sizeof(data),
		"fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other,max_read=%u",
		serving->fuse_fd, data_most(serving));
	return mount(serving->wish->tag, serving->wish->path,
		     by_stream(serving) ? SERVE_TYPE_RPC : SERVE_TYPE, 0, data)
		       ? -errno
		       : 0;
}

static int find_own_device(struct serving *serving)
{
	struct mounts_seen seen;
	int err = mounts_now(serving->wish->path, &seen);

	if (!err && !seen.there)
		err = -ENOENT;
	if (!err)
		memcpy(serving->device, seen.device, sizeof(seen.device));
	return err;
}

/* A stream may give it in pieces. */
static ssize_t read_reply(const struct serving *serving, void *message, size_t size)
{
	struct pollfd device = { .fd = serving->device_fd, .events = POLLIN };
	size_t have = 0;
	long len;

	do {
		ssize_t n;

		if (poll(&device, 1, INIT_TIMEOUT_MS) != 1)
			return -ETIMEDOUT;
		n = read(serving->device_fd, (uint8_t *)message + have, size - have);
		if (n <= 0)
			return n ? -errno : -ECONNRESET;
		have += (size_t)n;
		len = fs_stream_message(message, have, FS_STREAM_REPLY_HEADER);
	} while (!len && have < size);
	return len ? len : -EPROTO;
}

/* The first request: it tells how much data a slot has to hold. */
static int answer_init(const struct serving *serving, uint32_t *ret_data)
{
	uint64_t message[LODGE_FS_MESSAGE_MAX / sizeof(uint64_t)];
	/* FUSE_MIN_READ_BUFFER: the kernel gives nothing to smaller ones. */
	uint64_t request[FUSE_MIN_READ_BUFFER / sizeof(uint64_t)];
	struct fuse_in_header header;
	ssize_t n = read(serving->fuse_fd, request, sizeof(request));
	int64_t data;

	if (n < 0)
		return -errno;
	memcpy(&header, request, sizeof(header));
	if (!message_is_request(request, (size_t)n) || header.opcode != FUSE_INIT)
		return -EPROTO;
	if (write(serving->device_fd, request, (size_t)n) != n)
		return -errno;
	n = read_reply(serving, message, sizeof(message));
	if (n < 0)
		return (int)n;
	if (!message_is_reply(header.unique, message, (size_t)n))
		return -EPROTO;
	data = message_limit_init(message, (size_t)n, data_most(serving));
	if (data < 0)
		return (int)data;
	if (write(serving->fuse_fd, message, (size_t)n) != n)
		return -errno;
	*ret_data = (uint32_t)data;
	return 0;
}

static int clone_fuse(int fuse_fd)
{
	uint32_t from = (uint32_t)fuse_fd;
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, FUSE_DEV_IOC_CLONE, &from)) {
		int err = -errno; /* before Linux 4.2 */

		close(fd);
		return err;
	}
	return fd;
}

static int start_pump(struct serving *serving, uint32_t data)
{
	struct pump_config config = {
		.fuse_fd = serving->fuse_fd,
		.clone = clone_fuse,
		.device = device_of(&serving->device_fd),
	};
	int err = device_set_slots(serving->device_fd, data, &config.slots, &config.slot_size);

	return err ? err : pump_start(&config, &serving->pump);
}

static int start_moving(struct serving *serving, uint32_t data)
{
	return by_stream(serving)
		       ? stream_start(serving->fuse_fd, serving->device_fd, &serving->stream)
		       : start_pump(serving, data);
}

/* When memory is short this process must not wait for pages that it is to write out itself. */
static void settle(void)
{
	autofd score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (score >= 0 && write(score, "-900", 4) < 0)
		log_debug("oom_score_adj: %s", strerror(errno));
	if (mlockall(MCL_CURRENT))
		log_debug("mlockall: %s", strerror(errno));
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0))
		log_debug("no PR_SET_IO_FLUSHER: %s", strerror(errno));
}

/*
 * Unmounts the whole when nothing of it is mounted elsewhere any more, or, in the end, at any rate.
 * True: it did. What is there may be another's, who came when ours was dead.
 */
static bool let_go(const struct serving *serving, bool at_any_rate)
{
	autofd lock = mounts_lock(serving->wish->tag);
	struct mounts_seen seen;

	if (lock < 0 || mounts_now(serving->wish->path, &seen) || !seen.there ||
	    strcmp(seen.device, serving->device) || (seen.others && !at_any_rate))
		return false;
	umount2(serving->wish->path, MNT_DETACH);
	return true;
}

/* Until the pump ends. */
static int watch(const struct serving *serving)
{
	autofd mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	int over = by_stream(serving) ? stream_over_fd(serving->stream)
				      : pump_over_fd(serving->pump);
	struct pollfd fds[] = { { .fd = over, .events = POLLIN },
				{ .fd = mounts, .events = POLLPRI } };

	/* Whoever started us has the lock until something is bound. */
	if (let_go(serving, false))
		fds[1].fd = -1;
	while (!fds[0].revents) {
		if (poll(fds, 2, -1) > 0 && fds[1].revents && let_go(serving, false))
			fds[1].fd = -1;
	}
	let_go(serving, true);
	return by_stream(serving) ? stream_result(serving->stream) : pump_result(serving->pump);
}

/* One that is ending has it for some milliseconds more. */
static int open_device(struct serving *serving)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	int waited = 0;
	int fd;

	while ((fd = device_open(serving->wish->tag, &serving->info)) == -EBUSY &&
	       waited++ < BUSY_WAIT_MS / 10)
		nanosleep(&pause, NULL);
	serving->device_fd = fd;
	return fd < 0 ? fd : 0;
}

static int set_up(struct serving *serving)
{
	uint32_t data = 0;
	int err;

	if (by_stream(serving))
		serving->device_fd = serving->wish->messages_fd;
	err = by_stream(serving) ? 0 : open_device(serving);
	if (err)
		return err;
	serving->fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (serving->fuse_fd < 0)
		return -errno;
	err = mount_fuse(serving);
	if (err)
		return err;
	err = find_own_device(serving);
	if (!err)
		err = answer_init(serving, &data);
	if (!err)
		err = start_moving(serving, data);
	if (err)
		umount2(serving->wish->path, MNT_DETACH);
	else if (!by_stream(serving))
		(void)read_ahead_set(serving->device,
				     data / 1024 < READ_AHEAD_KIB ? data / 1024 : READ_AHEAD_KIB);
	return err;
}

/* Nobody's terminal and nobody's pipes; what there is to say goes to the kernel's log. */
static void leave_home(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	if (log >= 0 || null >= 0)
		dup2(log >= 0 ? log : null, STDERR_FILENO);
	fd_close(&null);
	fd_close(&log);
	if (chdir("/"))
		log_debug("chdir: %s", strerror(errno));
}

/* What was inherited, the lock of our parent above all: with a copy of it here it would stay
 * locked. */
static void close_others(int kept, int kept_too)
{
	for (int fd = STDERR_FILENO + 1; fd < FD_SETSIZE; fd++) {
		if (fd != kept && fd != kept_too)
			close(fd);
	}
}

static _Noreturn void serve(const struct serve_wish *wish, int ready)
{
	struct serving serving = { .wish = wish, .fuse_fd = -1, .device_fd = -1 };
	int err;

	if (wish->attached)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	close_others(ready, wish->messages_fd);
	setsid();
	settle();
	err = set_up(&serving);
	if (write(ready, &err, sizeof(err)) != sizeof(err))
		err = err ? err : -EPIPE;
	close(ready);
	if (err)
		_exit(1);
	leave_home();
	err = watch(&serving);
	if (err)
		log_error(
			"%s: the device is gone: %s; its mounts give errors until they are unmounted",
			wish->tag, strerror(-err));
	/* With the descriptors go the session at the host and, if it is still there, the mount. */
	_exit(err ? 1 : 0);
}

int serve_start(const struct serve_wish *wish, pid_t *ret_pid)
{
	int ready[2];
	int err = -EPIPE; /* it has died */
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(ready[0]);
		serve(wish, ready[1]);
	}
	if (pid < 0)
		err = -errno;
	close(ready[1]);
	if (pid > 0 && fd_read_all(ready[0], &err, sizeof(err)) != sizeof(err))
		err = -EPIPE;
	close(ready[0]);
	if (pid > 0 && err)
		waitpid(pid, NULL, 0);
	if (!err)
		*ret_pid = pid;
	return err;
}

int serve_wait(pid_t pid, const char *device)
{
	bool asked = false;
	int status = 0;
	bool ended = child_wait(pid, pid, SIGKILL, &status, &asked);

	mounts_clear("", device);
	return asked ? 0 : ended && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
