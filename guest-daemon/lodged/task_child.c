// SPDX-License-Identifier: GPL-2.0-or-later
// A task's child: its descriptors, its session and terminal, its user; then what the task is about.
#include "guest-daemon/lodged/task_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-daemon/lodged/jobs.h"
#include "protocol/lib/fd.h"

/* Both ends of all; -1: not there. */
struct ends {
	int ours[3], theirs[3];
	int report[2];
	char terminal[64]; /* path of the slave; "" without one */
};

static void close_all(struct ends *ends)
{
	for (int i = 0; i < 3; i++) {
		fd_close(&ends->ours[i]);
		fd_close(&ends->theirs[i]);
	}
	fd_close(&ends->report[0]);
	fd_close(&ends->report[1]);
}

static int open_terminal(struct ends *ends, const struct task_spec *spec)
{
	struct winsize size = { .ws_col = spec->cols, .ws_row = spec->rows };
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0)
		return -errno;
	ends->ours[0] = master;
	if (grantpt(master) || unlockpt(master) ||
	    ptsname_r(master, ends->terminal, sizeof(ends->terminal)))
		return -EIO;
	if (ioctl(master, TIOCSWINSZ, &size))
		return -errno;
	ends->ours[1] = fcntl(master, F_DUPFD_CLOEXEC, 0);
	if (ends->ours[1] < 0)
		return -errno;
	/* Until the child opens it, a slave that nobody has would look like one that all left. */
	ends->theirs[0] = open(ends->terminal, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return ends->theirs[0] < 0 ? -errno : 0;
}

static int open_pipes(struct ends *ends, const struct task_fds *fds)
{
	for (int i = 0; i < 3; i++) {
		int pair[2];

		if (!fds->wanted[i])
			continue;
		if (pipe2(pair, O_CLOEXEC))
			return -errno;
		ends->ours[i] = pair[i == 0 ? 1 : 0];
		ends->theirs[i] = pair[i == 0 ? 0 : 1];
		/* What a program opens again by /dev/stdout must be openable by its user. */
		(void)fchmod(ends->theirs[i], 0666);
	}
	return 0;
}

/* ---- the child ---- */

/* Standard streams from @fds, -1 being /dev/null; they may be any numbers, 0 to 2 among them. */
static int put_streams(const int fds[3])
{
	int high[3];

	for (int i = 0; i < 3; i++) {
		int fd = fds[i] >= 0 ? fds[i] : open("/dev/null", O_RDWR | O_CLOEXEC);

		high[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 10);
		if (high[i] < 0)
			return -errno;
	}
	for (int i = 0; i < 3; i++) {
		if (dup2(high[i], i) < 0)
			return -errno;
	}
	return 0;
}

/* The terminal becomes the session's. */
static int take_terminal(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return ioctl(fd, TIOCSCTTY, 0) ? -errno : fd;
}

static void __attribute__((noreturn))
run_child(const struct task_type *type, const struct task_spec *spec, const struct ends *ends,
	  pid_t parent)
{
	int streams[3] = { ends->theirs[0], ends->theirs[1], ends->theirs[2] };
	struct report report = { 0 };
	int report_fd, ret = 0;

	child_begin();
	(void)setsid();
	/* Above the standard streams, whatever number it had. */
	report_fd = fcntl(ends->report[1], F_DUPFD_CLOEXEC, 10);
	if (spec->tty)
		ret = streams[0] = streams[1] = streams[2] = take_terminal(ends->terminal);
	if (ret >= 0)
		ret = put_streams(streams);
	child_close_from(3, report_fd);
	/* lodged may have died before the kernel knew what to do then. */
	if (getppid() != parent)
		_exit(1);
	umask(022);
	if (ret < 0)
		ret = report_set(&report, -ret, "cannot make standard streams: %s", strerror(-ret));
	else
		ret = type->run(spec, report_fd, &report);
	if (report.error)
		report_send(&report, report_fd);
	_exit(ret ? 1 : 0);
}

int task_fork(const struct task_type *type, const struct task_spec *spec,
	      const struct task_fds *fds, int ours[3], int *ret_report_fd, pid_t *ret_pid)
{
	struct ends ends = { { -1, -1, -1 }, { -1, -1, -1 }, { -1, -1 }, "" };
	pid_t parent = getpid(), pid = -1;
	int ret = spec->tty ? open_terminal(&ends, spec) : open_pipes(&ends, fds);

	if (!ret && pipe2(ends.report, O_CLOEXEC | O_NONBLOCK))
		ret = -errno;
	if (!ret) {
		pid = fork();
		if (pid == 0)
			run_child(type, spec, &ends, parent);
		ret = pid < 0 ? -errno : 0;
	}
	for (int i = 0; i < 3 && !ret; i++)
		ours[i] = fd_steal(&ends.ours[i]);
	if (!ret) {
		*ret_report_fd = fd_steal(&ends.report[0]);
		*ret_pid = pid;
	}
	close_all(&ends);
	return ret;
}
