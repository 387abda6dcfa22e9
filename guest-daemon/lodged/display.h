/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VM's display as its guest has it: who sets the resolution, and the size of the text console,
 * which is lodged's to set where nobody else has the screen.
 *
 * The kernel sets modes for its console by itself when the display asks for another size, as far as
 * the picture that it made at its start is large enough; that picture never grows. But the kernel
 * does not tell its terminals: they keep their lines and columns, of which a smaller screen shows a
 * part. So the frame buffer device is told, by its own call, what the kernel will show. While a
 * program is DRM master, no mode of a frame buffer device is set: that is the kernel's rule.
 *
 * Functions read the system anew at each call and may wait for its drivers: for a child of lodged.
 */
#ifndef LODGE_GUEST_DISPLAY_H
#define LODGE_GUEST_DISPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/lib/fields.h"

struct display_system {
	const char *sys, *dev, *proc, *users; /* "/sys", "/dev", "/proc", "/run/user" */
	/* Whether the foreground virtual terminal shows text; false where there is none. */
	bool (*is_text)(const char *dev);
	/* Has the kernel ask the device for a connector's modes now. */
	void (*probe)(const char *connector);
	/* Of the frame buffer device @node: how large its terminals are, and another such size. */
	int (*get_size)(const char *node, uint32_t *ret_width, uint32_t *ret_height);
	int (*set_size)(const char *node, uint32_t width, uint32_t height);
};

extern const struct display_system display_system;

/* Sizes the console where that is lodged's to do, and adds the fields of the part "display" of
 * protocol/spec/facts.md. */
void display_look(const struct display_system *system, struct fields_builder *fields);

/* ---- display_owner.c ---- */

struct display_owner {
	const char *owner; /* as in facts.md */
	char program[64]; /* that has the screen; "" */
};

/* Who sets the resolution of @card. */
void display_find_owner(const struct display_system *system, unsigned int card,
			struct display_owner *ret_owner);

#endif
