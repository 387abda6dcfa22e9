/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VM's screens: what each head shows, what each head should be, and who looks at it.
 *
 * Between the devices that make pictures (sources: virtio-gpu, VGA) and those who see them (the
 * windows on display.sock, screenshots) stands one struct display. It owns the wanted size of each
 * head and says it to the sources; it owns the copy of each picture that windows map. A picture
 * stays in the guest's memory: a source tells what is damaged, and the display fetches the damaged
 * pixels once, when somebody looks. Nobody looks: nothing is fetched, nothing runs.
 *
 * Threads: one loop of the display's own, display_loop(). Functions run there unless they say "any
 * thread"; sources' callbacks are called there. A virtio device that is a source has this loop as
 * its own.
 */
#ifndef LODGE_VMM_DISPLAY_H
#define LODGE_VMM_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lodge/display.h>

struct display;
struct loop;
struct machine;

struct display_rect {
	uint32_t x, y, width, height; /* pixels */
};

/* ---- for the machine ---- */

/* Of the machine's table: makes machine->display and machine->input where vm.conf has heads. */
struct device_type;
extern const struct device_type display_type;
extern const struct device_type replug_type;

/* @heads: 1 to LODGE_DISPLAY_HEADS_MAX; @memory: bytes that all pictures may take. -EINVAL,
 * -ENOMEM, -EMFILE. */
int display_create(unsigned int heads, uint64_t memory, struct display **ret_display);
/* Sources and windows are gone. NULL is fine. */
void display_destroy(struct display *display);

/* How a pixel lies in the source's memory, lowest byte first. */
enum display_format {
	DISPLAY_BGRX8888 = 1, /* what windows get: copied as it is */
	DISPLAY_RGBX8888 = 2,
	DISPLAY_XRGB8888 = 3,
	DISPLAY_XBGR8888 = 4,
	DISPLAY_RGB565 = 5, /* 16 bits, red highest */
	DISPLAY_RGB555 = 6,
	DISPLAY_BGR888 = 7, /* 24 bits, blue first */
};

unsigned int display_format_bytes(enum display_format format);

/*
 * Who makes the picture. A head shows the highest layer that is held. A layer is held from its
 * first picture on until display_release_layer(): meanwhile it may have none, and then the head is
 * off.
 */
enum display_layer {
	DISPLAY_LAYER_VGA = 0, /* head 0 only */
	DISPLAY_LAYER_GPU = 1,
	DISPLAY_LAYERS = 2,
};

struct display_source_ops {
	/*
	 * Copies [offset, offset + len) of the picture's memory to @to. Negative errno: it cannot
	 * be read, and that line stays black.
	 */
	int (*read)(void *opaque, uint64_t offset, void *to, size_t len);
	/*
	 * Once before each frame while somebody looks, at most 60 times a second: finds damage that
	 * nobody tells, and says it by display_damage(). NULL: the source tells all damage.
	 */
	void (*refresh)(void *opaque);
};

struct display_picture {
	uint32_t width, height; /* 1 to LODGE_DISPLAY_SIDE_MAX */
	uint32_t stride; /* bytes from line to line in the source's memory */
	uint64_t offset; /* of the first pixel */
	enum display_format format;
	enum lodge_display_source source;
	uint32_t x, y; /* the head's place among the others */
	const struct display_source_ops *ops;
	void *opaque;
};

/* What a head should be. */
struct display_want {
	bool enabled;
	uint32_t width, height; /* pixels */
	uint32_t width_mm, height_mm; /* never 0: made from 96 dpi where nobody knows */
	uint32_t x, y; /* heads stand side by side, in order */
};

/* ---- for sources ---- */

struct loop *display_loop(struct display *display);
unsigned int display_heads(const struct display *display);
/* Bytes that all pictures of the guest may take: [display] memory. */
uint64_t display_memory(const struct display *display);

/*
 * Puts a picture on a head, all of it damaged, or with NULL takes this layer's away; the source
 * answers for what @opaque points at until then. -EINVAL for sizes out of range.
 */
int display_set_picture(struct display *display, unsigned int head, enum display_layer layer,
			const struct display_picture *picture);
/* The layer's driver is gone: all heads show what is below. */
void display_release_layer(struct display *display, enum display_layer layer);
/* Clipped to the picture; any number of them: they are merged. */
void display_damage(struct display *display, unsigned int head, enum display_layer layer,
		    const struct display_rect *rect);
/*
 * Calls @done once, when what is damaged so far has been fetched and shown by all who look at it, a
 * frame's time after the one before at the earliest, and LODGE_DISPLAY_SHOWN_MS from now at the
 * latest. Never called from within. -EAGAIN: too many wait; the caller goes on without.
 */
int display_when_shown(struct display *display, unsigned int head, void (*done)(void *opaque),
		       void *opaque);
/* Forgets the calls that wait with @opaque. */
void display_forget(struct display *display, void *opaque);

/* @argb: width * height pixels, premultiplied, copied; NULL with 0 x 0: none. -EINVAL beyond
 * LODGE_DISPLAY_CURSOR_MAX. */
int display_set_cursor(struct display *display, unsigned int head, uint32_t width, uint32_t height,
		       uint32_t hot_x, uint32_t hot_y, const uint32_t *argb);
/* Where its upper left pixel is, as two's complement: it may hang out of the picture. */
void display_move_cursor(struct display *display, unsigned int head, uint32_t x, uint32_t y);

/* Calls @changed on the loop when the wants of any head changed. One listener; NULL: none. */
void display_listen(struct display *display, void (*changed)(void *opaque), void *opaque);
void display_get_want(struct display *display, unsigned int head, struct display_want *ret_want);

/* ---- for the host's side; any thread ---- */

/*
 * Somebody wants head @head to have this size; 0 x 0: off (not head 0). The guest is told when no
 * other word came for a while, and at most 10 times a second meanwhile. -EINVAL below the least
 * size, -E2BIG beyond what the memory can hold, -ENOENT: no such head.
 */
int display_resize(struct display *display, unsigned int head, uint32_t width, uint32_t height,
		   uint32_t width_mm, uint32_t height_mm);

/*
 * For guests whose program takes another size only from a monitor that is plugged in: heads with a
 * picture of the guest's driver, and of another size than they should have, go for the guest until
 * it has taken that picture away, for 2 s at most, and come again. Once for each size; windows keep
 * the last picture meanwhile.
 */
void display_replug(struct display *display);

struct display_shot {
	uint32_t width, height;
	uint32_t *pixels; /* width * height, 0xXXRRGGBB, the cursor drawn in; free() */
};

/* The picture of now. -ENODATA: the head is off. */
int display_shoot(struct display *display, unsigned int head, struct display_shot *ret_shot);

struct display_head_state {
	enum lodge_display_source source;
	uint32_t width, height; /* what it shows */
	struct display_want want;
	unsigned int windows; /* that look at it */
	uint64_t mode_sets, frames, copied_bytes; /* since the machine's start */
};

int display_state(struct display *display, unsigned int head, struct display_head_state *ret_state);

#endif
