// SPDX-License-Identifier: GPL-2.0-or-later
// An epoll loop in a thread of its own, with calls into it from other threads.
#include "host-vmm/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host-vmm/sandbox.h"
#include "protocol/lib/capabilities.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/thread.h"

#define LOOP_BATCH	16 /* events fetched by one epoll_wait(2) */
#define LOOP_STACK_SIZE (256u << 10) /* bytes; only what is touched is memory */

struct loop_source {
	struct loop *loop;
	int fd;
	loop_fd_fn fn;
	void *opaque;
	bool removed;
	struct loop_source *next_removed;
};

/* On the stack of the thread that waits for it. */
struct loop_pending {
	loop_call_fn fn;
	void *opaque;
	bool done;
	struct loop_pending *next;
};

struct loop {
	int epoll_fd;
	int wake_fd; /* eventfd: calls are pending, or stop */
	pthread_t thread;
	char name[16];
	bool started;
	struct loop_source *removed; /* loop's thread: freed when no fetched event can name them */

	pthread_mutex_t lock;
	pthread_cond_t called;
	struct loop_pending *calls; /* under lock */
	struct loop_pending **calls_end;
	bool stop; /* under lock */
};

/* Runs what is pending; true if the loop is to stop. */
static bool run_calls(struct loop *loop)
{
	bool stop;

	pthread_mutex_lock(&loop->lock);
	while (loop->calls) {
		struct loop_pending *call = loop->calls;

		loop->calls = call->next;
		if (!loop->calls)
			loop->calls_end = &loop->calls;
		pthread_mutex_unlock(&loop->lock);
		call->fn(call->opaque);
		pthread_mutex_lock(&loop->lock);
		call->done = true;
		pthread_cond_broadcast(&loop->called);
	}
	stop = loop->stop;
	pthread_mutex_unlock(&loop->lock);
	return stop;
}

static void free_removed(struct loop *loop)
{
	while (loop->removed) {
		struct loop_source *source = loop->removed;

		loop->removed = source->next_removed;
		free(source);
	}
}

static void *loop_thread(void *opaque)
{
	struct loop *loop = opaque;
	struct epoll_event events[LOOP_BATCH];
	bool stop = false;

	pthread_setname_np(pthread_self(), loop->name);
	capabilities_keep(SANDBOX_CAPABILITIES);
	while (!stop) {
		int n = epoll_wait(loop->epoll_fd, events, LOOP_BATCH, -1);

		for (int i = 0; i < n; i++) {
			struct loop_source *source = events[i].data.ptr;

			if (!source) {
				uint64_t count;

				(void)!read(loop->wake_fd, &count, sizeof(count));
				stop = run_calls(loop);
			} else if (!source->removed) {
				source->fn(source->opaque, events[i].events);
			}
		}
		free_removed(loop);
	}
	return NULL;
}

int loop_create(const char *name, struct loop **ret_loop)
{
	struct epoll_event wake = { .events = EPOLLIN };
	struct loop *loop = calloc(1, sizeof(*loop));
	int ret;

	if (!loop)
		return -ENOMEM;
	for (size_t i = 0; i + 1 < sizeof(loop->name) && name[i]; i++)
		loop->name[i] = name[i];
	loop->calls_end = &loop->calls;
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->called, NULL);
	loop->wake_fd = -1;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		ret = -errno;
		goto fail;
	}
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0 ||
	    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &wake) < 0) {
		ret = -errno;
		goto fail;
	}
	ret = thread_start(&loop->thread, LOOP_STACK_SIZE, 0, loop_thread, loop);
	if (ret < 0)
		goto fail;
	loop->started = true;
	*ret_loop = loop;
	return 0;

fail:
	loop_destroy(loop);
	return ret;
}

static void wake(struct loop *loop)
{
	uint64_t one = 1;

	(void)!write(loop->wake_fd, &one, sizeof(one));
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	if (loop->started) {
		pthread_mutex_lock(&loop->lock);
		loop->stop = true;
		pthread_mutex_unlock(&loop->lock);
		wake(loop);
		pthread_join(loop->thread, NULL);
	}
	free_removed(loop);
	fd_close(&loop->wake_fd);
	fd_close(&loop->epoll_fd);
	pthread_cond_destroy(&loop->called);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

int loop_add(struct loop *loop, int fd, uint32_t epoll_events, loop_fd_fn fn, void *opaque,
	     struct loop_source **ret_source)
{
	struct loop_source *source = calloc(1, sizeof(*source));
	struct epoll_event event = { .events = epoll_events };
	int ret;

	if (!source)
		return -ENOMEM;
	*source = (struct loop_source){ .loop = loop, .fd = fd, .fn = fn, .opaque = opaque };
	event.data.ptr = source;
	/* Set first: the callback may run, and use it, before epoll_ctl(2) returns here. */
	*ret_source = source;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		ret = -errno;
		*ret_source = NULL;
		free(source);
		return ret;
	}
	return 0;
}

int loop_modify(struct loop_source *source, uint32_t epoll_events)
{
	struct epoll_event event = { .events = epoll_events, .data.ptr = source };

	if (epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) < 0)
		return -errno;
	return 0;
}

static bool on_loop(const struct loop *loop)
{
	return pthread_equal(pthread_self(), loop->thread);
}

static void remove_here(void *opaque)
{
	struct loop_source *source = opaque;
	struct loop *loop = source->loop;

	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	source->removed = true;
	source->next_removed = loop->removed;
	loop->removed = source;
}

void loop_remove(struct loop_source *source)
{
	if (source)
		loop_call(source->loop, remove_here, source);
}

void loop_call(struct loop *loop, loop_call_fn fn, void *opaque)
{
	struct loop_pending call = { .fn = fn, .opaque = opaque };

	if (on_loop(loop)) {
		fn(opaque);
		return;
	}
	pthread_mutex_lock(&loop->lock);
	*loop->calls_end = &call;
	/* We wait below until the loop has taken it off the list. */
	/* cppcheck-suppress autoVariables */
	loop->calls_end = &call.next;
	wake(loop);
	while (!call.done)
		pthread_cond_wait(&loop->called, &loop->lock);
	pthread_mutex_unlock(&loop->lock);
}
