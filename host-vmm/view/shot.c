// SPDX-License-Identifier: GPL-2.0-or-later
// Screenshots: a file in the user's home, made by `lodge screenshot`, which asks the monitor
// itself.
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/view/view.h"

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

void view_shoot(struct view *view, const struct window *window)
{
	char command[PATH_MAX], file[PATH_MAX], stamp[32], head[16];
	const char *home = getenv("HOME");
	time_t now = time(NULL);
	struct tm parts;
	pid_t pid;
	int ret;

	if (!view->options->name) {
		fprintf(stderr,
			"lodge-view: no screenshot: which VM this is, 'lodge view' knows\n");
		return;
	}
	find_command(command);
	if (!localtime_r(&now, &parts) || !strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &parts))
		return;
	snprintf(head, sizeof(head), "--head=%u", window->head + 1);
	snprintf(file, sizeof(file), "%s/lodge-%s-%s.png", home ? home : ".", view->options->name,
		 stamp);
	ret = posix_spawnp(&pid, command, NULL, NULL,
			   (char *[]){ command, (char *)"screenshot", head,
				       (char *)view->options->name, file, NULL },
			   environ);
	if (ret != 0)
		fprintf(stderr, "lodge-view: %s: %s\n", command, strerror(ret));
	else
		printf("screenshot: %s\n", file);
}
