// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Screenshots: files in the user's home, made by `lodge screenshot`, which asks the monitor itself.
 *
 * The window may start no program (confine.c): another process does, which was forked before, and
 * which the window can tell nothing but a head.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/view/view.h"
#include "protocol/lib/fd.h"

#define SAME_SECOND 9 /* files whose names have the same time */

/* The command that stands beside this program; else the one of that name in PATH. */
static void find_command(char path[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	path[len > 0 ? len : 0] = 0;
	slash = strrchr(path, '/');
	if (slash && (size_t)(slash + 1 - path) + sizeof("lodge") <= PATH_MAX) {
		strcpy(slash + 1, "lodge");
		if (access(path, X_OK) == 0)
			return;
	}
	strcpy(path, "lodge");
}

/* One that there is not, as far as that goes. */
static bool name_file(const char *name, char path[PATH_MAX])
{
	const char *home = getenv("HOME");
	time_t now = time(NULL);
	struct tm parts;
	char stamp[32];
	int len;

	if (!localtime_r(&now, &parts) || !strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &parts))
		return false;
	len = snprintf(path, PATH_MAX, "%s/lodge-%s-%s.png", home ? home : ".", name, stamp);
	for (int i = 2; len < PATH_MAX && i <= SAME_SECOND && access(path, F_OK) == 0; i++)
		len = snprintf(path, PATH_MAX, "%s/lodge-%s-%s-%d.png", home ? home : ".", name,
			       stamp, i);
	return len < PATH_MAX;
}

/* What goes wrong the command says itself. */
static void shoot(const char *name, unsigned int head)
{
	char command[PATH_MAX], file[PATH_MAX], option[16];
	int ret, status;
	pid_t pid;

	if (!name_file(name, file))
		return;
	find_command(command);
	snprintf(option, sizeof(option), "--head=%u", head + 1);
	ret = posix_spawnp(
		&pid, command, NULL, NULL,
		(char *[]){ command, (char *)"screenshot", option, (char *)name, file, NULL },
		environ);
	if (ret != 0)
		fprintf(stderr, "lodge-view: %s: %s\n", command, strerror(ret));
	else if (waitpid(pid, &status, 0) == pid && status == 0)
		printf("screenshot: %s\n", file);
	fflush(stdout);
}

static _Noreturn void serve(int pipe, const char *name)
{
	uint8_t head;

	(void)prctl(PR_SET_NAME, "lodge-shooter");
	signal(SIGCHLD, SIG_DFL);
	while (fd_read_all(pipe, &head, sizeof(head)) == sizeof(head))
		if (head < LODGE_DISPLAY_HEADS_MAX)
			shoot(name, head);
	_exit(0);
}

int view_start_shooter(const char *name)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	/* Nobody waits for it. */
	signal(SIGCHLD, SIG_IGN);
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		serve(ends[0], name);
	}
	close(ends[0]);
	if (pid < 0) {
		close(ends[1]);
		return -EAGAIN;
	}
	(void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
	return ends[1];
}

void view_shoot(struct view *view, const struct window *window)
{
	const uint8_t head = (uint8_t)window->head;

	if (view->shooter < 0 || write(view->shooter, &head, sizeof(head)) != sizeof(head))
		fprintf(stderr, "lodge-view: no screenshot: %s\n",
			view->options->name ? "the process that makes them is gone"
					    : "which VM this is, 'lodge view' knows");
}
