/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-3-Clause */
/*
 * display.sock: a running VM's screens and keyboard, for windows that come and go.
 * protocol/spec/display.md has who says what when.
 *
 * A message is a header and its body, one behind the other on a stream socket; descriptors come
 * with the first byte of the message that they belong to. All numbers are little-endian.
 */
#ifndef LODGE_DISPLAY_H
#define LODGE_DISPLAY_H

#include <linux/types.h>

/* virtio 1.2 section 5.7.4: VIRTIO_GPU_MAX_SCANOUTS */
#define LODGE_DISPLAY_HEADS_MAX 16u
/* Pixels of a head's side. */
#define LODGE_DISPLAY_SIDE_MAX	 16384u
#define LODGE_DISPLAY_WIDTH_MIN	 320u
#define LODGE_DISPLAY_HEIGHT_MIN 200u
/* Pixels of a cursor's side. */
#define LODGE_DISPLAY_CURSOR_MAX 64u
/* Bytes 8 and 9 of the EDID that heads show: the maker "LDG", five bits a letter (E-EDID 1.4
 * section 3.4.1). By it the guest's tools know their display. */
#define LODGE_DISPLAY_EDID_MAKER_0 0x30
#define LODGE_DISPLAY_EDID_MAKER_1 0x87
/* Rectangles of one LODGE_DISPLAY_DAMAGE. */
#define LODGE_DISPLAY_RECTS_MAX 32u
/* Bytes of a body: a cursor's picture and what stands before it. */
#define LODGE_DISPLAY_BODY_MAX (32u + LODGE_DISPLAY_CURSOR_MAX * LODGE_DISPLAY_CURSOR_MAX * 4u)

/* The guest's tools ask by it, over the backdoor, for heads to be plugged in anew:
 * protocol/spec/display-device.md. */
#define LODGE_DISPLAY_REPLUG_WORD "lodge.display.replug"

enum lodge_display_type {
	/* From the monitor. */
	LODGE_DISPLAY_HELLO = 1,
	LODGE_DISPLAY_FRAME = 2, /* a head's picture lies in other memory now */
	LODGE_DISPLAY_DAMAGE = 3,
	LODGE_DISPLAY_CURSOR = 4, /* its picture */
	LODGE_DISPLAY_CURSOR_AT = 5, /* its place */
	LODGE_DISPLAY_INPUT = 6, /* what the guest's devices are like */
	/* From the window. */
	LODGE_DISPLAY_ATTACH = 64,
	LODGE_DISPLAY_SHOWN = 65,
	LODGE_DISPLAY_RESIZE = 66,
	LODGE_DISPLAY_KEY = 67,
	LODGE_DISPLAY_POINT = 68,
	LODGE_DISPLAY_MOVE = 69,
	LODGE_DISPLAY_BUTTON = 70,
	LODGE_DISPLAY_WHEEL = 71,
	LODGE_DISPLAY_RELEASE = 72, /* all keys and buttons that this window holds; no body */
	LODGE_DISPLAY_MEASURE = 73, /* how large pixels are where the window is */
};

struct lodge_display_header {
	__le32 size; /* bytes of the body, at most LODGE_DISPLAY_BODY_MAX */
	__le16 type; /* enum lodge_display_type */
	__le16 head; /* which one; 0 where the message is of none */
};
_Static_assert(sizeof(struct lodge_display_header) == 8, "lodge_display_header");

/* Both sides' first message. */
struct lodge_display_hello {
	__le32 version; /* LODGE_DISPLAY_VERSION */
	__le32 heads; /* how many there are */
	__le64 memory_max; /* bytes that a head's picture may have */
	__u8 name[72]; /* the VM's, UTF-8, ends with a NUL */
};
_Static_assert(sizeof(struct lodge_display_hello) == 88, "lodge_display_hello");
#define LODGE_DISPLAY_VERSION 1u

struct lodge_display_attach {
	__le32 version;
	__le32 heads; /* bit N: this window shows head N */
};
_Static_assert(sizeof(struct lodge_display_attach) == 8, "lodge_display_attach");

/* Where the picture comes from, to be told to people. */
enum lodge_display_source {
	LODGE_DISPLAY_NONE = 0, /* the head is off: no descriptor, sizes are 0 */
	LODGE_DISPLAY_TEXT = 1, /* a VGA text mode */
	LODGE_DISPLAY_VGA = 2, /* a VGA or VBE graphics mode */
	LODGE_DISPLAY_GPU = 3, /* a scanout of the virtio device: it follows LODGE_DISPLAY_RESIZE */
};

/*
 * With one descriptor: memory to be mapped read-only, of stride * height bytes rounded up to whole
 * pages, pixels of 32 bits as X has them at depth 24 (blue in the lowest byte, the highest one
 * means nothing). The memory stays as long as somebody maps it; what was shown before is over.
 */
struct lodge_display_frame {
	__le32 width, height; /* pixels */
	__le32 stride; /* bytes */
	__le32 source; /* enum lodge_display_source */
	__le32 x, y; /* where the guest puts the head among the others */
};
_Static_assert(sizeof(struct lodge_display_frame) == 24, "lodge_display_frame");

struct lodge_display_rect {
	__le32 x, y, width, height;
};
_Static_assert(sizeof(struct lodge_display_rect) == 16, "lodge_display_rect");

/* The rectangles have new pixels, which stay until LODGE_DISPLAY_SHOWN or for
 * LODGE_DISPLAY_SHOWN_MS. */
struct lodge_display_damage {
	__le32 serial;
	__le32 n_rects; /* 1 to LODGE_DISPLAY_RECTS_MAX; they follow */
};
_Static_assert(sizeof(struct lodge_display_damage) == 8, "lodge_display_damage");

struct lodge_display_shown {
	__le32 serial;
	__le32 reserved; /* 0 */
};
_Static_assert(sizeof(struct lodge_display_shown) == 8, "lodge_display_shown");
#define LODGE_DISPLAY_SHOWN_MS 100u

/* width * height pixels of 32 bits follow: ARGB, alpha premultiplied. 0 x 0: no cursor. */
struct lodge_display_cursor {
	__le32 width, height;
	__le32 hot_x, hot_y; /* below width and height */
};
_Static_assert(sizeof(struct lodge_display_cursor) == 16, "lodge_display_cursor");

struct lodge_display_cursor_at {
	__le32 x, y;
};
_Static_assert(sizeof(struct lodge_display_cursor_at) == 8, "lodge_display_cursor_at");

/* LODGE_DISPLAY_INPUT */
struct lodge_display_input {
	__le32 absolute; /* 1: the guest takes LODGE_DISPLAY_POINT; 0: LODGE_DISPLAY_MOVE */
	__le32 leds; /* bit N: LED number N of <linux/input-event-codes.h> is on */
};
_Static_assert(sizeof(struct lodge_display_input) == 8, "lodge_display_input");

/* What the head shall be. Sent freely: the monitor keeps the pace at which the guest is told. */
struct lodge_display_resize {
	__le32 width, height; /* device pixels */
	__le32 width_mm, height_mm; /* 0: not known */
	__le32 reserved[2]; /* 0 */
};
_Static_assert(sizeof(struct lodge_display_resize) == 24, "lodge_display_resize");

/* So many pixels of a head have this size: of windows that ask for no size of their own. */
struct lodge_display_measure {
	__le32 width, height; /* device pixels; 0 says nothing */
	__le32 width_mm, height_mm; /* 0: not known */
};
_Static_assert(sizeof(struct lodge_display_measure) == 16, "lodge_display_measure");

/* LODGE_DISPLAY_KEY and LODGE_DISPLAY_BUTTON: code is a KEY_ or BTN_ of
 * <linux/input-event-codes.h>. */
struct lodge_display_key {
	__le32 code;
	__le32 down; /* 1 or 0; the guest makes its own repeats */
};
_Static_assert(sizeof(struct lodge_display_key) == 8, "lodge_display_key");

/* A pixel of the head. */
struct lodge_display_point {
	__le32 x, y;
};
_Static_assert(sizeof(struct lodge_display_point) == 8, "lodge_display_point");

/* LODGE_DISPLAY_MOVE, pixels, and LODGE_DISPLAY_WHEEL, 1/120 of a notch: two's complement; right
 * and down are positive for a move, right and up (away from the user) for a wheel. */
struct lodge_display_move {
	__le32 dx, dy;
};
_Static_assert(sizeof(struct lodge_display_move) == 8, "lodge_display_move");

#endif
