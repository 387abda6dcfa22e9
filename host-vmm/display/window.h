/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One window on display.sock: what it says is done, what it is told is queued. Display's loop. */
#ifndef LODGE_VMM_DISPLAY_WINDOW_H
#define LODGE_VMM_DISPLAY_WINDOW_H

#include <stdbool.h>

#include "protocol/lib/log.h"

struct display;
struct input;
struct window;

/* What a window needs of its server. */
struct window_host {
	struct display *display;
	struct input *input;
	const char *name; /* the VM's */
	struct log_ratelimit *limit;
	/* A window has begun to wait for its peer to read. */
	void (*waits)(void *opaque);
	/* It is over: window_destroy() is to be called, at once. */
	void (*over)(void *opaque, struct window *window);
	void *opaque;
};

/* Takes @fd, which does not block, over on success, and says hello. -ENOMEM. @host stays. */
int window_create(const struct window_host *host, int fd, struct window **ret_window);
/* Lets go of its heads and of the keys that it holds. */
void window_destroy(struct window *window);

/* The guest's keyboard or pointer has become another. */
void window_input_changed(struct window *window);
/* Called once a second while it waits: false where it has read nothing for DISPLAY_STALL_S. *@waits
 * is set where it still waits. */
bool window_check(struct window *window, bool *waits);

#endif
