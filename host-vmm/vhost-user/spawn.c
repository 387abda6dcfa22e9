// SPDX-License-Identifier: GPL-2.0-or-later
/* Helper processes: find, start clean, end for sure. */
#include "host-vmm/vhost-user/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/lib/fd.h"

static int try_folder(const char *folder, size_t len, const char *name, char **ret_path)
{
	char *path;

	if (asprintf(&path, "%.*s/%s", (int)len, folder, name) < 0)
		return -ENOMEM;
	if (!access(path, X_OK)) {
		*ret_path = path;
		return 0;
	}
	free(path);
	return -ENOENT;
}

int spawn_find(const char *name, char **ret_path)
{
	const char *libexec = getenv("LODGE_LIBEXEC");
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int ret = -ENOENT;

	if (len > 0) {
		self[len] = 0;
		ret = try_folder(self, (size_t)(strrchr(self, '/') - self), name, ret_path);
	}
	if (ret == -ENOENT && libexec && *libexec)
		ret = try_folder(libexec, strlen(libexec), name, ret_path);
	if (ret == -ENOENT)
		ret = try_folder(LODGE_PREFIX "/libexec/lodge",
				 strlen(LODGE_PREFIX "/libexec/lodge"), name, ret_path);
	return ret;
}

/*
 * Moves the wanted descriptors out of the way first, so that no target number is the source of a
 * later one. Between fork and exec of a process with threads: only system calls from here on.
 */
static void arrange_fds(const int *fds, size_t n_fds)
{
	int moved[SPAWN_FDS_MAX];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (size_t i = 0; i < n_fds; i++)
		moved[i] = fcntl(fds[i], F_DUPFD, SPAWN_FIRST_FD + (int)n_fds);
	for (size_t i = 0; i < n_fds; i++)
		dup2(moved[i], SPAWN_FIRST_FD + (int)i);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	syscall(SYS_close_range, SPAWN_FIRST_FD + (unsigned int)n_fds, ~0u, 0);
}

static void __attribute__((noreturn))
run_child(const char *path, char *const argv[], const int *fds, size_t n_fds, pid_t parent)
{
	sigset_t none;

	/* The thread that starts it may block all signals, and masks pass through exec. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(127);
	/* A group of its own: a Ctrl-C on the terminal is for the VM to handle. */
	setpgid(0, 0);
	arrange_fds(fds, n_fds);
	execv(path, argv);
	_exit(127);
}

int spawn_child(const char *path, char *const argv[], const int *fds, size_t n_fds,
		struct child *ret_child)
{
	pid_t parent = getpid();
	struct child child;

	if (n_fds > SPAWN_FDS_MAX)
		return -E2BIG;
	child.pid = fork();
	if (child.pid < 0)
		return -errno;
	if (!child.pid)
		run_child(path, argv, fds, n_fds, parent);
	child.pidfd = (int)syscall(SYS_pidfd_open, child.pid, 0);
	if (child.pidfd < 0) {
		int error = -errno;

		kill(child.pid, SIGKILL);
		waitpid(child.pid, NULL, 0);
		return error;
	}
	*ret_child = child;
	return 0;
}

int spawn_end(struct child *child, unsigned int grace_ms, int *ret_status)
{
	struct pollfd pfd = { .fd = child->pidfd, .events = POLLIN };
	int status = SIGKILL, ret = 0;

	if (child->pid <= 0)
		return 0;
	if (poll(&pfd, 1, (int)grace_ms) <= 0)
		kill(child->pid, SIGKILL);
	/* What it started has its group, whose number cannot be another's until it is reaped. */
	kill(-child->pid, SIGKILL);
	if (poll(&pfd, 1, SPAWN_GONE_MS) <= 0)
		ret = -ETIMEDOUT;
	while (!ret && waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	fd_close(&child->pidfd);
	child->pid = 0;
	if (ret_status)
		*ret_status = status;
	return ret;
}

void spawn_reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

void spawn_status_text(int status, char room[SPAWN_STATUS_MAX])
{
	if (WIFSIGNALED(status))
		snprintf(room, SPAWN_STATUS_MAX, "signal %d (%s)", WTERMSIG(status),
			 sigdescr_np(WTERMSIG(status)));
	else
		snprintf(room, SPAWN_STATUS_MAX, "exit status %d", WEXITSTATUS(status));
}
