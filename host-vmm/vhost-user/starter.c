// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process that starts one helper program on the monitor's orders.
 *
 * Theory of operation. The starter is forked from a process with threads, so between fork and its
 * end it makes system calls only, and finds its program's path and arguments in its copy of the
 * monitor's memory. Orders and replies are packets on a socket pair, one reply for each order; end
 * of file is the order to go. The helper is the starter's child and gets SIGKILL when the starter
 * ends, the starter gets it when the thread ends that made it.
 */
#include "host-vmm/vhost-user/starter.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/lib/fd.h"

/* The starter answers at once; more means that it hangs in the kernel. */
#define REPLY_TIMEOUT_MS 5000

enum order {
	ORDER_START = 1, /* with descriptors; the reply brings a pidfd */
	ORDER_END = 2, /* kills and reaps; the reply has the status */
};

struct reply {
	int32_t error;
	int32_t status;
};

struct starter {
	int socket;
	pid_t pid;
	int helper; /* pidfd, -1: none */
};

/* ---- in the starter ---- */

struct process {
	const char *program;
	char *const *argv;
	int socket;
	struct child child;
};

static void answer(int socket, const struct reply *reply, int fd)
{
	if (fd_send(socket, reply, sizeof(*reply), &fd, fd >= 0))
		_exit(0);
}

static void obey(struct process *process, uint32_t order, const int *fds, size_t n_fds)
{
	struct reply reply = { .error = -EBUSY };

	if (order == ORDER_START) {
		if (process->child.pid <= 0)
			spawn_reap();
		if (process->child.pid <= 0)
			reply.error = spawn_child(process->program, process->argv, fds, n_fds,
						  &process->child);
		answer(process->socket, &reply, reply.error ? -1 : process->child.pidfd);
	} else {
		reply.error = process->child.pid > 0 ? spawn_end(&process->child, 0, &reply.status)
						     : -ECHILD;
		answer(process->socket, &reply, -1);
	}
}

static void __attribute__((noreturn)) serve(struct process *process)
{
	for (;;) {
		int fds[FD_PASS_MAX];
		uint32_t order;
		size_t n_fds;

		if (fd_recv(process->socket, &order, sizeof(order), fds, &n_fds) != sizeof(order))
			_exit(0);
		obey(process, order, fds, n_fds);
		while (n_fds)
			close(fds[--n_fds]);
	}
}

static void __attribute__((noreturn)) run_starter(struct process *process, pid_t parent)
{
	const int keep = SPAWN_FIRST_FD;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_NAME, "lodge-starter");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	/* Nor shall what it starts gain anything by a set-user-id file. */
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* A Ctrl-C on the terminal is for the monitor to handle. */
	setpgid(0, 0);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (process->socket != keep && dup3(process->socket, keep, O_CLOEXEC) < 0)
		_exit(1);
	process->socket = keep;
	syscall(SYS_close_range, keep + 1u, ~0u, 0);
	serve(process);
}

/* ---- in the monitor ---- */

int starter_create(const char *program, char *const argv[], struct starter **ret_starter)
{
	struct process process = { .program = program, .argv = argv, .child.pidfd = -1 };
	struct starter *starter = calloc(1, sizeof(*starter));
	pid_t parent = getpid();
	int pair[2];

	if (!starter)
		return -ENOMEM;
	starter->helper = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		free(starter);
		return -errno;
	}
	process.socket = pair[1];
	starter->socket = pair[0];
	starter->pid = fork();
	if (!starter->pid)
		run_starter(&process, parent);
	close(pair[1]);
	if (starter->pid < 0) {
		int error = -errno;

		starter->pid = 0;
		starter_destroy(starter);
		return error;
	}
	*ret_starter = starter;
	return 0;
}

void starter_destroy(struct starter *starter)
{
	if (!starter)
		return;
	starter_end(starter, 0, NULL);
	fd_close(&starter->socket);
	while (starter->pid > 0 && waitpid(starter->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(starter);
}

static int take_reply(struct starter *starter, struct reply *ret_reply, int *ret_fd)
{
	struct pollfd pfd = { .fd = starter->socket, .events = POLLIN };
	int fds[FD_PASS_MAX];
	size_t n_fds;
	ssize_t got;

	if (poll(&pfd, 1, REPLY_TIMEOUT_MS) != 1)
		return -EPIPE;
	got = fd_recv(starter->socket, ret_reply, sizeof(*ret_reply), fds, &n_fds);
	if (got != sizeof(*ret_reply))
		return -EPIPE;
	if (n_fds)
		*ret_fd = fds[0];
	return ret_reply->error;
}

static int give_order(struct starter *starter, uint32_t order, const int *fds, size_t n_fds)
{
	return fd_send(starter->socket, &order, sizeof(order), fds, n_fds) ? -EPIPE : 0;
}

int starter_start(struct starter *starter, const int *fds, size_t n_fds)
{
	struct reply reply;
	int ret;

	if (n_fds > STARTER_FDS_MAX)
		return -E2BIG;
	ret = give_order(starter, ORDER_START, fds, n_fds);
	return ret ? ret : take_reply(starter, &reply, &starter->helper);
}

int starter_end(struct starter *starter, unsigned int grace_ms, int *ret_status)
{
	struct pollfd pfd = { .fd = starter->helper, .events = POLLIN };
	struct reply reply = { 0 };
	int ret, stray = -1;

	if (starter->helper < 0)
		return -ECHILD;
	(void)!poll(&pfd, 1, (int)grace_ms);
	ret = give_order(starter, ORDER_END, NULL, 0);
	if (!ret)
		ret = take_reply(starter, &reply, &stray);
	fd_close(&stray);
	fd_close(&starter->helper);
	if (!ret && ret_status)
		*ret_status = reply.status;
	return ret;
}
