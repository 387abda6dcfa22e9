/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the plug-in memory watches: a file that says when this system's programs wait for memory,
 * and tests that have one of their own. On the main loop.
 */
#ifndef LODGE_GUEST_STALLS_H
#define LODGE_GUEST_STALLS_H

#include <stdint.h>

struct lodged;

struct stalls {
	/* A descriptor that has POLLPRI when there is news, the caller's to close; -1: none. */
	int (*open)(void);
	/* Microseconds that some program has waited so far; negative errno. */
	int (*read)(int fd, uint64_t *ret_us);
};

/* This system's: psi(5)'s trigger. */
extern const struct stalls stalls_system;

struct stall_watch;

/* Tells the host by @lodged, until it is stopped. */
struct stall_watch *stall_watch_start(struct lodged *lodged, const struct stalls *stalls);
void stall_watch_stop(struct stall_watch *watch);

#endif
