/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One direction of bytes from a descriptor to another, driven by poll(2): at most one buffer is
 * read ahead, so that a slow reader holds its writer back.
 */
#ifndef LODGE_TESTS_LAB_STREAM_H
#define LODGE_TESTS_LAB_STREAM_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * stream_step writes no more than this at once: a pipe that poll(2) calls writable takes it without
 * blocking (PIPE_BUF, pipe(7)), also where the descriptor, being somebody else's too, cannot be
 * made O_NONBLOCK.
 */
#define STREAM_WRITE_MAX 4096

struct stream {
	int from; /* -1 once it has ended */
	int to; /* -1 once nobody reads there: the rest is read and dropped */
	uint64_t bytes_in; /* read so far */
	uint64_t bytes_out; /* written or dropped so far */
	size_t start;
	size_t end;
	char buf[65536];
};

/* Fills pfd[0] (for from) and pfd[1] (for to) with what the stream waits for; fd -1 where nothing.
 */
void stream_want(const struct stream *s, struct pollfd pfd[2]);

/* Reads and writes what poll(2) says is ready. */
void stream_step(struct stream *s, const struct pollfd pfd[2]);

/* True when the source has ended and everything read from it is written. */
bool stream_done(const struct stream *s);

#endif
