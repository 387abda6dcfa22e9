// SPDX-License-Identifier: GPL-2.0-or-later
// The byte pump that both ends of the lab use for stdin, stdout and stderr.
#include "tests/lab/stream.h"

#include <errno.h>
#include <unistd.h>

static bool transient(int err)
{
	return err == EAGAIN || err == EINTR;
}

void stream_want(const struct stream *s, struct pollfd pfd[2])
{
	bool empty = s->start == s->end;

	pfd[0] = (struct pollfd){ .fd = empty ? s->from : -1, .events = POLLIN };
	pfd[1] = (struct pollfd){ .fd = empty ? -1 : s->to, .events = POLLOUT };
}

static void fill(struct stream *s)
{
	ssize_t n = read(s->from, s->buf, sizeof(s->buf));

	if (n > 0) {
		s->start = 0;
		s->end = (size_t)n;
		s->bytes_in += (size_t)n;
	} else if (n == 0 || !transient(errno)) {
		s->from = -1;
	}
}

static void drain(struct stream *s)
{
	size_t have = s->end - s->start;
	ssize_t n =
		write(s->to, s->buf + s->start, have < STREAM_WRITE_MAX ? have : STREAM_WRITE_MAX);

	if (n > 0) {
		s->start += (size_t)n;
		s->bytes_out += (size_t)n;
	} else if (n < 0 && !transient(errno)) {
		s->to = -1;
	}
}

void stream_step(struct stream *s, const struct pollfd pfd[2])
{
	if (pfd[0].fd >= 0 && pfd[0].revents)
		fill(s);
	if (pfd[1].fd >= 0 && pfd[1].revents)
		drain(s);
	if (s->to < 0) {
		s->bytes_out += s->end - s->start;
		s->start = s->end;
	}
}

bool stream_done(const struct stream *s)
{
	return s->from < 0 && s->start == s->end;
}
