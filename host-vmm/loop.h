/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An epoll loop in a thread of its own: where queues are served and sockets are read.
 *
 * Callbacks run on the loop's thread, one at a time, and must not block. loop_call() from another
 * thread runs a function there and waits for it, which is how a vCPU stops a device safely.
 */
#ifndef LODGE_VMM_LOOP_H
#define LODGE_VMM_LOOP_H

#include <stdint.h>

struct loop;
struct loop_source;

typedef void (*loop_fd_fn)(void *opaque, uint32_t epoll_events);
typedef void (*loop_call_fn)(void *opaque);

/* @name is the thread's name (15 bytes are shown). The thread blocks all signals. */
int loop_create(const char *name, struct loop **ret_loop);
/* Stops and joins the thread. All sources must have been removed. NULL is fine. */
void loop_destroy(struct loop *loop);

/*
 * Watches @fd (not owned) for @epoll_events (EPOLLIN, EPOLLOUT, EPOLLET ...). Any thread.
 * Once loop_remove() returned, the callback does not run and is not called again, even for events
 * already fetched; from another thread it waits for that. NULL is fine.
 */
int loop_add(struct loop *loop, int fd, uint32_t epoll_events, loop_fd_fn fn, void *opaque,
	     struct loop_source **ret_source);
int loop_modify(struct loop_source *source, uint32_t epoll_events);
void loop_remove(struct loop_source *source);

/* Runs @fn on the loop's thread and returns when it is done; at once when called there. */
void loop_call(struct loop *loop, loop_call_fn fn, void *opaque);

#endif
