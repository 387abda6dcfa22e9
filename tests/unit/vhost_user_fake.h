/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vhost-user back end for tests: a thread that answers as a good one does, notes what it was
 * told, and misbehaves in one chosen way at one chosen request.
 */
#ifndef TESTS_VHOST_USER_FAKE_H
#define TESTS_VHOST_USER_FAKE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <lodge/vhost_user.h>

enum misdeed {
	MISDEED_NONE = 0,
	MISDEED_SILENT, /* reads on, answers nothing more */
	MISDEED_CLOSE,
	MISDEED_HALF_HEADER, /* six bytes of the reply, then closes */
	MISDEED_HALF_PAYLOAD, /* header and half of the payload, then nothing more */
	MISDEED_OTHER_REQUEST,
	MISDEED_NO_REPLY_FLAG,
	MISDEED_VERSION,
	MISDEED_SIZE_ZERO,
	MISDEED_SIZE_HUGE,
	MISDEED_STRAY_FD, /* a descriptor more than belongs there */
	MISDEED_MANY_FDS,
	MISDEED_RUBBISH,
	MISDEED_COUNT,
};

#define FAKE_QUEUES 4
#define FAKE_BASE   77 /* what GET_VRING_BASE answers, plus the queue's number */

struct fake {
	/* Set before fake_start(): */
	uint64_t features, protocol;
	uint64_t queue_num, mem_slots;
	uint32_t misdeed_at; /* request */
	enum misdeed misdeed;
	uint32_t nack; /* request that gets a non-zero ack */
	uint64_t inflight_size; /* of the memory that GET_INFLIGHT_FD hands out; 0: right */
	bool inflight_pipe; /* hand out a pipe instead */

	/* Noted; read after fake_stop(), or while the front end waits for nothing: */
	uint64_t set_features, set_protocol, status;
	struct vhost_user_mem_table table;
	unsigned int n_added;
	struct vhost_user_vring_state num[FAKE_QUEUES], base[FAKE_QUEUES];
	struct vhost_user_vring_addr addr[FAKE_QUEUES];
	int kick[FAKE_QUEUES], call[FAKE_QUEUES], err[FAKE_QUEUES], memory_fd, inflight_fd;
	bool enabled[FAKE_QUEUES];
	unsigned int seen[VHOST_USER_REQUEST_END]; /* how often each request came */
	unsigned int owner, resets;

	int socket;
	bool mute;
	pthread_t thread;
};

void fake_init(struct fake *fake);
/* Starts the thread: the front end's end of the connection. */
int fake_start(struct fake *fake);
/* Ends it: the front end sees the connection closed. Descriptors noted stay open until finish. */
void fake_stop(struct fake *fake);
void fake_finish(struct fake *fake);

#endif
