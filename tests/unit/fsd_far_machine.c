// SPDX-License-Identifier: GPL-2.0-or-later
/* The machine that fsd_far_machine.h tells of. */
#include "tests/unit/fsd_far_machine.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared-fs/server/request.h"

#define MESSAGE_MAX ((1u << 20) + 4096)

static const struct owner_map as_it_is;

static void *serve(void *arg)
{
	const struct far_machine *machine = arg;
	struct scratch *scratch = calloc(1, sizeof(*scratch));
	uint8_t *message = malloc(MESSAGE_MAX);
	uint8_t *reply = malloc(MESSAGE_MAX);

	while (scratch && message && reply) {
		ssize_t len = read(machine->fuse_fd, message, MESSAGE_MAX);
		struct iovec iov[3];
		struct request req;
		uint32_t written;

		if (len < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
			continue;
		if (len < (ssize_t)sizeof(struct fuse_in_header))
			break;
		iov[0] = (struct iovec){ message, sizeof(struct fuse_in_header) };
		iov[1] = (struct iovec){ message + iov[0].iov_len, (size_t)len - iov[0].iov_len };
		iov[2] = (struct iovec){ reply, MESSAGE_MAX };
		fs_request(&req, machine->fs, scratch, iov, 2, (size_t)len, 1, MESSAGE_MAX, true,
			   &written);
		if (written && write(machine->fuse_fd, reply, written) < 0 && errno != ENOENT)
			break;
	}
	_exit(0);
}

static int share(const struct far_machine *machine)
{
	return fs_share_add(machine->fs, "share", open(machine->own, O_PATH | O_CLOEXEC), false,
			    &as_it_is, false);
}

/* In its process: a byte takes the share away, the next one gives it back. */
static void run_machine(struct far_machine *machine)
{
	struct fs_config config = { .fd_limit = 200 };
	pthread_t thread;
	char order;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fs_create(&config, &machine->fs) || share(machine) || chdir("/proc") ||
	    fs_attach(machine->fs) || pthread_create(&thread, NULL, serve, machine))
		_exit(1);
	while (read(machine->orders[1], &order, 1) == 1) {
		if (order == '-' ? fs_share_remove(machine->fs, "share") : share(machine))
			_exit(1);
		if (write(machine->orders[1], &order, 1) != 1)
			break;
	}
	_exit(0);
}

void far_machine_order(const struct far_machine *machine, char what)
{
	ck_assert_int_eq(write(machine->orders[0], &what, 1), 1);
	ck_assert_int_eq(read(machine->orders[0], &what, 1), 1);
}

bool far_machine_start(struct far_machine *machine, const char *top)
{
	char options[128];

	snprintf(machine->own, sizeof(machine->own), "%s/own", top);
	snprintf(machine->place, sizeof(machine->place), "%s/place", top);
	ck_assert_int_eq(mkdir(machine->own, 0755) | mkdir(machine->place, 0755), 0);
	machine->fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0",
		 machine->fuse_fd);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("far", machine->place, "fuse", 0, options)) {
		printf("not tried: a mount of FUSE: %s\n", strerror(errno));
		return false;
	}
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, machine->orders), 0);
	machine->pid = fork();
	if (!machine->pid) {
		close(machine->orders[0]);
		run_machine(machine);
	}
	close(machine->fuse_fd);
	close(machine->orders[1]);
	strcat(machine->place, "/share");
	return true;
}

void far_machine_stop(struct far_machine *machine)
{
	if (!machine->pid)
		return;
	kill(machine->pid, SIGKILL);
	waitpid(machine->pid, NULL, 0);
	machine->pid = 0;
}

void far_machine_end(struct far_machine *machine)
{
	far_machine_stop(machine);
	machine->place[strlen(machine->place) - strlen("/share")] = 0;
	ck_assert_int_eq(umount2(machine->place, MNT_DETACH), 0);
}
