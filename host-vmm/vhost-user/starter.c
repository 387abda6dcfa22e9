// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process that starts one helper program on the monitor's orders.
 *
 * Theory of operation. The starter is forked from a process with threads, so between fork and its
 * end it makes system calls only: its buffers were allocated before the fork. Orders and replies
 * are packets on a socket pair, one reply for each order; end of file is the order to go. The
 * helper is the starter's child and gets SIGKILL when the starter ends, the starter gets it when
 * the thread ends that made it.
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

enum order_kind {
	ORDER_START = 1, /* args are "ARG\0ARG\0..."; the reply brings a pidfd */
	ORDER_END = 2, /* kills and reaps; the reply has the status */
};

struct order {
	uint32_t kind;
	uint32_t n_args;
	char args[STARTER_TEXT_MAX];
};

struct reply {
	int32_t error;
	int32_t status;
};

/* Both sides' buffers; the starter has its copy by the fork. */
struct work {
	struct order order;
	char *argv[STARTER_ARGS_MAX + 1];
	int fds[STARTER_FDS_MAX];
	union {
		char bytes[CMSG_SPACE(STARTER_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
};

struct starter {
	struct work *work;
	int socket;
	pid_t pid;
	int helper; /* pidfd, -1: none */
};

/* ---- in the starter ---- */

struct process {
	struct work *work;
	const char *program;
	bool (*allowed)(const char *argument);
	int socket;
	struct child child;
};

static size_t take_fds(struct work *work, struct msghdr *msg)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
	size_t n;

	if (!cmsg || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
		return 0;
	n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(work->fds, CMSG_DATA(cmsg), n * sizeof(int));
	return n;
}

/* Splits the arguments into argv and asks whether each may be. */
static int check_args(struct process *process, size_t len)
{
	struct order *order = &process->work->order;
	size_t at = 0, text = len - offsetof(struct order, args);

	if (!order->n_args || order->n_args > STARTER_ARGS_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < order->n_args; i++) {
		size_t left = text - at, arg = strnlen(order->args + at, left);

		if (arg == left)
			return -EINVAL;
		if (i && !process->allowed(order->args + at))
			return -EPERM;
		process->work->argv[i] = order->args + at;
		at += arg + 1;
	}
	process->work->argv[order->n_args] = NULL;
	return 0;
}

static int start_helper(struct process *process, size_t len, size_t n_fds)
{
	int ret;

	if (process->child.pid > 0)
		return -EBUSY;
	ret = check_args(process, len);
	return ret ? ret
		   : spawn_child(process->program, process->work->argv, process->work->fds, n_fds,
				 &process->child);
}

static void answer(int socket, const struct reply *reply, int fd)
{
	if (fd_send(socket, reply, sizeof(*reply), &fd, fd >= 0))
		_exit(0);
}

static void obey(struct process *process, size_t len, size_t n_fds)
{
	struct reply reply = { .error = -EINVAL };

	if (process->work->order.kind == ORDER_START) {
		reply.error = start_helper(process, len, n_fds);
		answer(process->socket, &reply, reply.error ? -1 : process->child.pidfd);
	} else {
		reply.error = process->child.pid > 0 ? 0 : -ECHILD;
		spawn_end(&process->child, 0, &reply.status);
		answer(process->socket, &reply, -1);
	}
}

static void __attribute__((noreturn)) serve(struct process *process)
{
	struct work *work = process->work;

	for (;;) {
		struct iovec iov = { &work->order, sizeof(work->order) };
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = work->control.bytes,
				      .msg_controllen = sizeof(work->control) };
		ssize_t got = recvmsg(process->socket, &msg, MSG_CMSG_CLOEXEC);
		size_t n_fds;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < (ssize_t)offsetof(struct order, args) || msg.msg_flags & MSG_CTRUNC)
			_exit(0);
		n_fds = take_fds(work, &msg);
		obey(process, (size_t)got, n_fds);
		while (n_fds)
			close(work->fds[--n_fds]);
	}
}

static void __attribute__((noreturn)) run_starter(struct process *process, pid_t parent)
{
	const int keep = SPAWN_FIRST_FD;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_NAME, "lodge-starter");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
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

int starter_create(const char *program, bool (*allowed)(const char *argument),
		   struct starter **ret_starter)
{
	struct process process = { .program = program, .allowed = allowed, .child.pidfd = -1 };
	struct starter *starter = calloc(1, sizeof(*starter));
	pid_t parent = getpid();
	int pair[2];

	if (!starter)
		return -ENOMEM;
	starter->work = calloc(1, sizeof(*starter->work));
	if (!starter->work || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		free(starter->work);
		free(starter);
		return -ENOMEM;
	}
	process.work = starter->work;
	process.socket = pair[1];
	starter->helper = -1;
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
	free(starter->work);
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

static int give_order(struct starter *starter, size_t len, const int *fds, size_t n_fds)
{
	struct work *work = starter->work;
	struct iovec iov = { &work->order, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (n_fds) {
		msg.msg_control = work->control.bytes;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, n_fds * sizeof(int));
	}
	return sendmsg(starter->socket, &msg, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -EPIPE;
}

int starter_start(struct starter *starter, char *const argv[], const int *fds, size_t n_fds)
{
	struct order *order = &starter->work->order;
	struct reply reply;
	size_t at = 0;
	int ret;

	if (n_fds > STARTER_FDS_MAX)
		return -E2BIG;
	order->kind = ORDER_START;
	for (order->n_args = 0; argv[order->n_args]; order->n_args++) {
		size_t len = strlen(argv[order->n_args]) + 1;

		if (len > sizeof(order->args) - at || order->n_args == STARTER_ARGS_MAX)
			return -E2BIG;
		memcpy(order->args + at, argv[order->n_args], len);
		at += len;
	}
	ret = give_order(starter, offsetof(struct order, args) + at, fds, n_fds);
	return ret ? ret : take_reply(starter, &reply, &starter->helper);
}

int starter_end(struct starter *starter, unsigned int grace_ms, int *ret_status)
{
	struct pollfd pfd = { .fd = starter->helper, .events = POLLIN };
	struct reply reply;
	int ret, stray = -1;

	if (starter->helper < 0)
		return -ECHILD;
	(void)!poll(&pfd, 1, (int)grace_ms);
	starter->work->order.kind = ORDER_END;
	ret = give_order(starter, offsetof(struct order, args), NULL, 0);
	if (!ret)
		ret = take_reply(starter, &reply, &stray);
	fd_close(&stray);
	fd_close(&starter->helper);
	if (!ret && ret_status)
		*ret_status = reply.status;
	return ret;
}
