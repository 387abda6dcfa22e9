// SPDX-License-Identifier: GPL-2.0-or-later
/* A real lodge-fsd below a test. */
#include "tests/unit/fsd_child.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host-vmm/vhost-user/spawn.h"

void fsd_child_find(void)
{
	char *path;

	/* The file server is beside the programs, not beside the tests. */
	if (!getenv("LODGE_LIBEXEC")) {
		char self[4096], *end;
		ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 8);

		ck_assert_int_gt(len, 0);
		self[len] = 0;
		for (int i = 0; i < 2; i++) {
			end = strrchr(self, '/');
			ck_assert_ptr_nonnull(end);
			*end = 0;
		}
		strcat(self, "/bin");
		setenv("LODGE_LIBEXEC", self, 1);
	}
	ck_assert_msg(!spawn_find("lodge-fsd", &path), "build lodge-fsd first");
	free(path);
}

pid_t fsd_child_of(pid_t pid)
{
	char path[64];
	int child = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "r");
	/* In the order in which they were made. */
	while (file && fscanf(file, "%d", &child) == 1)
		;
	if (file)
		fclose(file);
	return child;
}

/* lodge-fsd is the child of the starter, which is ours; what serves is its child in the sandbox. */
pid_t fsd_child_server(void)
{
	pid_t pid = fsd_child_of(getpid()), child;

	ck_assert_int_gt(pid, 0);
	pid = fsd_child_of(pid);
	while ((child = fsd_child_of(pid)) > 0)
		pid = child;
	return pid;
}

/* The keeper, too, which would start another server. */
void fsd_child_kill_whole(void)
{
	pid_t pid = fsd_child_server();

	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(kill(-getpgid(pid), SIGKILL), 0);
}
