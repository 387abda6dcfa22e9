// SPDX-License-Identifier: GPL-2.0-or-later
// Carries the command's streams between its pipes and the ports, and waits for it to end.
//
// Pipes and not the ports themselves are the command's, because a port opens once: /dev/stderr
// would be busy, and a command's children could not reopen it. Each stream has one buffer; it reads
// while that is empty and writes while it is not, so that a slow side stops the other one.
#include "guest-daemon/init/init.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILL_AFTER_MS 5000 /* from the power button's SIGTERM to SIGKILL */

enum { IN, OUT, ERR, N_STREAMS };

struct stream {
	int from, to; /* -1: ended */
	bool to_port;
	size_t used, done;
	char bytes[32768]; /* the most that one write to a port takes (virtio_console.c) */
};

struct waiter {
	pid_t child;
	int status; /* -1: runs */
	long kill_at; /* ms, 0: not asked to end */
};

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void end_stream(struct stream *stream)
{
	if (stream->from >= 0)
		close(stream->from);
	if (stream->to >= 0)
		close(stream->to);
	stream->from = stream->to = -1;
	stream->used = stream->done = 0;
}

/* Reads and writes what goes without waiting. True if anything moved. */
static bool stream_move(struct stream *stream)
{
	bool moved = false;
	ssize_t n;

	while (stream->from >= 0 || stream->used) {
		if (!stream->used) {
			n = read(stream->from, stream->bytes, sizeof(stream->bytes));
			if (n < 0)
				return moved;
			if (!n) {
				end_stream(stream);
				return true;
			}
			stream->used = (size_t)n;
			stream->done = 0;
			moved = true;
		}
		n = write(stream->to, stream->bytes + stream->done, stream->used - stream->done);
		if (n < 0 && errno == EAGAIN)
			return moved;
		if (n < 0) {
			end_stream(stream);
			return true;
		}
		stream->done += (size_t)n;
		if (stream->done == stream->used)
			stream->used = 0;
		moved = true;
	}
	return moved;
}

static void stream_poll(const struct stream *stream, struct pollfd *pfd)
{
	pfd->fd = stream->used ? stream->to : stream->from;
	pfd->events = stream->used ? POLLOUT : POLLIN;
	pfd->revents = 0;
}

/* The host's end of an output port is gone: so is the pipe, and the command meets SIGPIPE. */
static void drop_unread(struct stream *stream)
{
	struct pollfd pfd = { stream->to, 0, 0 };

	if (stream->to_port && stream->to >= 0 && poll(&pfd, 1, 0) == 1 && pfd.revents & POLLHUP)
		end_stream(stream);
}

static void reap(struct waiter *waiter, int signals)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(signals, &info, sizeof(info)) == sizeof(info))
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != waiter->child)
			continue;
		waiter->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
}

static int timeout_of(const struct waiter *waiter)
{
	long left;

	if (!waiter->kill_at)
		return -1;
	left = waiter->kill_at - now_ms();
	return left > 0 ? (int)left : 0;
}

static void end_command(struct waiter *waiter)
{
	if (!waiter->kill_at) {
		kill(-waiter->child, SIGTERM);
		/* An interactive shell ignores SIGTERM but not the loss of its terminal. */
		kill(-waiter->child, SIGHUP);
		waiter->kill_at = now_ms() + KILL_AFTER_MS;
	} else if (now_ms() >= waiter->kill_at) {
		kill(-1, SIGKILL);
	}
}

/* After the command's end its streams have what it wrote; nobody need wait for its children. */
static void drain(struct stream *streams)
{
	for (int i = OUT; i < N_STREAMS; i++) {
		struct stream *stream = &streams[i];

		while (stream->from >= 0) {
			struct pollfd pfd = { stream->to, POLLOUT, 0 };

			if (stream_move(stream))
				continue;
			if (!stream->used)
				break;
			if (poll(&pfd, 1, -1) < 0 || pfd.revents & POLLHUP)
				break;
		}
		end_stream(stream);
	}
}

int pump_run(pid_t child, int signals, int power_button, const int ports[3], const int pipes[3])
{
	static struct stream streams[N_STREAMS];
	struct waiter waiter = { child, -1, 0 };
	struct pollfd pfds[N_STREAMS + 2];

	for (int i = 0; i < N_STREAMS; i++) {
		streams[i].to_port = i != IN;
		streams[i].from = i == IN ? ports[i] : pipes[i];
		streams[i].to = i == IN ? pipes[i] : ports[i];
	}
	while (waiter.status < 0) {
		for (int i = 0; i < N_STREAMS; i++)
			stream_poll(&streams[i], &pfds[i]);
		pfds[N_STREAMS] = (struct pollfd){ signals, POLLIN, 0 };
		pfds[N_STREAMS + 1] = (struct pollfd){ power_button, POLLIN, 0 };
		if (poll(pfds, N_STREAMS + 2, timeout_of(&waiter)) < 0 && errno != EINTR)
			return 125;
		for (int i = 0; i < N_STREAMS; i++) {
			if (pfds[i].revents) {
				(void)stream_move(&streams[i]);
				drop_unread(&streams[i]);
			}
		}
		if (pfds[N_STREAMS].revents)
			reap(&waiter, signals);
		if ((pfds[N_STREAMS + 1].revents && power_button_pressed(power_button)) ||
		    waiter.kill_at)
			end_command(&waiter);
	}
	drain(streams);
	end_stream(&streams[IN]);
	return waiter.status;
}
