/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The window's end of display.sock: whole messages in, checked; messages out, without ever waiting.
 *
 * Locking: none; one thread.
 */
#ifndef LODGE_VIEW_LINK_H
#define LODGE_VIEW_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lodge/display.h>

struct link;

struct link_hello {
	unsigned int heads; /* 1 to LODGE_DISPLAY_HEADS_MAX */
	uint64_t memory_max; /* bytes that a head's picture may have */
	char name[72]; /* the VM's, without control characters */
};

/* In the CPU's byte order. */
struct link_frame {
	enum lodge_display_source source;
	uint32_t width, height; /* pixels; 0 x 0 for LODGE_DISPLAY_NONE, else 1 to
				   LODGE_DISPLAY_SIDE_MAX */
	uint32_t stride; /* bytes, of whole pixels, at least the width's */
};

struct link_rect {
	uint32_t x, y, width, height; /* as they came: to be clipped */
};

struct link_cursor {
	uint32_t width, height, hot_x, hot_y; /* 0 x 0: none */
	const uint32_t *pixels; /* valid during the call */
};

/* What came; all are set but where it says otherwise. @head is one of the hello's. */
struct link_ops {
	void (*hello)(void *opaque, const struct link_hello *hello);
	/* @fd holds at least stride * height bytes and is the callee's; -1 with LODGE_DISPLAY_NONE.
	 */
	void (*frame)(void *opaque, unsigned int head, const struct link_frame *frame, int fd);
	void (*damage)(void *opaque, unsigned int head, uint32_t serial,
		       const struct link_rect *rects, unsigned int n_rects);
	void (*cursor)(void *opaque, unsigned int head, const struct link_cursor *cursor);
	/* Where its upper left pixel is; NULL: not of interest. */
	void (*cursor_at)(void *opaque, unsigned int head, int32_t x, int32_t y);
	void (*input)(void *opaque, bool absolute, uint32_t leds);
};

/* Takes a connected, non-blocking socket over. -ENOMEM: it is closed. */
int link_adopt(int socket, const struct link_ops *ops, void *opaque, struct link **ret_link);
/* Connects to the socket at @path. Negative errno. */
int link_open(const char *path, const struct link_ops *ops, void *opaque, struct link **ret_link);
/* NULL is fine. */
void link_close(struct link *link);
int link_fd(const struct link *link);

/* Takes what came. 0; -EPIPE: the VM is gone; -EBADMSG: this is no display's monitor, or a bad one.
 */
int link_read(struct link *link);
/* Queues a message, and sends what the socket takes. Errors come out of link_flush(). */
void link_send(struct link *link, enum lodge_display_type type, unsigned int head, const void *body,
	       size_t size);
/* 0: all is out; 1: to be called again when the socket takes more; -EPIPE; -ENOBUFS: the monitor
 * has not read for too long. */
int link_flush(struct link *link);
/* Whether so much waits that what can be left out (a pointer's way) should be. */
bool link_is_slow(const struct link *link);

#endif
