/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lines that the guest's init sends on its status port: protocol/spec/run.md.
 *
 * Locking: none; used by one thread at a time.
 */
#ifndef LODGE_VMM_RUN_STATUS_H
#define LODGE_VMM_RUN_STATUS_H

#include <lodge/run.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum run_status_word {
	RUN_STATUS_READY = 1,
	RUN_STATUS_EXIT = 2, /* with the exit status */
	RUN_STATUS_MALFORMED = 3, /* a line that was dropped */
};

/* Zero-initialise it, and again when the guest closes the port. */
struct run_status {
	char line[LODGE_RUN_LINE_MAX];
	size_t len;
	bool too_long; /* dropping until the line's end */
};

typedef void (*run_status_fn)(void *opaque, enum run_status_word word, int status);

/* Takes bytes as they come and calls @fn for every line that they end. */
void run_status_feed(struct run_status *status, const void *bytes, size_t len, run_status_fn fn,
		     void *opaque);

#endif
