/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What windows say on display.sock, cut out of their byte stream and checked:
 * protocol/spec/display.md.
 */
#ifndef LODGE_VMM_DISPLAY_WIRE_H
#define LODGE_VMM_DISPLAY_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lodge/display.h>

/* Bytes of the longest body that a window sends. */
#define WIRE_BODY_MAX sizeof(struct lodge_display_resize)

/* In the CPU's byte order. */
struct wire_message {
	enum lodge_display_type type; /* LODGE_DISPLAY_ATTACH or above */
	unsigned int head; /* one that there is */
	union {
		uint32_t heads; /* ATTACH: of those that there are */
		uint32_t serial; /* SHOWN */
		struct {
			uint32_t width, height, width_mm, height_mm;
		} resize;
		struct {
			uint32_t code;
			bool down;
		} key; /* KEY, BUTTON */
		struct {
			uint32_t x, y;
		} point;
		struct {
			int32_t dx, dy;
		} move; /* MOVE, WHEEL */
	};
};

/* Zeroed but for n_heads at a stream's start. One thread at a time. */
struct wire {
	unsigned int n_heads;
	bool attached; /* ATTACH came: it is the first and comes once */
	size_t have;
	unsigned char bytes[sizeof(struct lodge_display_header) + WIRE_BODY_MAX];
};

/* A negative errno ends the feeding. */
typedef int (*wire_fn)(void *opaque, const struct wire_message *message);

/* Hands every whole message to @fn. 0, what @fn returned, or -EBADMSG: the stream is over then. */
int wire_feed(struct wire *wire, const void *bytes, size_t len, wire_fn fn, void *opaque);

#endif
