/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The X server that the windows are on: what it can do, names of properties, sizes of monitors.
 *
 * Locking: none; one thread.
 */
#ifndef LODGE_VIEW_SCREEN_H
#define LODGE_VIEW_SCREEN_H

#include <stdbool.h>
#include <stdint.h>
#include <xcb/render.h>
#include <xcb/xcb.h>

#define SCREEN_MESSAGE_MAX 256 /* bytes */
#define SCREEN_KEYCODES	   256
#define SCREEN_MONITORS	   16u /* those beyond are taken for the first one */

/* Properties and messages of ICCCM 4.1 and of EWMH 1.5. */
struct screen_atoms {
	xcb_atom_t wm_protocols, wm_delete_window, wm_state, wm_state_fullscreen, wm_name,
		wm_icon_name, wm_pid, wm_ping, utf8_string;
};

/* Where it is on the root, and how large. */
struct screen_monitor {
	int x, y;
	uint32_t width, height, width_mm, height_mm; /* pixels; millimetres, 0: not known */
};

struct screen {
	xcb_connection_t *x;
	xcb_screen_t *root;
	struct screen_atoms atoms;
	xcb_visualid_t visual; /* the root's: 32 bits a pixel, blue lowest */
	bool shm; /* segments are attached by descriptor (MIT-SHM 1.2) */
	uint8_t shm_event; /* number of ShmCompletion */
	bool render; /* scaling, and cursors with colours */
	xcb_render_pictformat_t format, argb; /* of the visual, of cursors */
	bool raw_moves; /* XInput 2.1 */
	uint8_t xinput_opcode;
	bool randr;
	uint8_t randr_event; /* number of RRScreenChangeNotify */
	bool other_rules; /* its keycodes are not those of the rules "evdev" */
	uint32_t scale; /* percent, by Xft.dpi; 0: not known */
	struct screen_monitor monitors[SCREEN_MONITORS]; /* the primary one first */
	unsigned int n_monitors; /* at least 1 */
	xcb_cursor_t no_cursor, dot_cursor; /* nothing; where the pointer is, and no more */
	/* Of each keycode, without modifiers. */
	xcb_keysym_t keysyms[SCREEN_KEYCODES];
};

/* Connects to the X server @name (NULL: $DISPLAY). -EINVAL with @message for people. */
int screen_open(struct screen *screen, const char *name, char message[SCREEN_MESSAGE_MAX]);
void screen_close(struct screen *screen);

/* Again, after MappingNotify. */
void screen_read_keys(struct screen *screen);
/* Whether any key makes @keysym by itself. */
bool screen_has_key(const struct screen *screen, xcb_keysym_t keysym);
/* Again, after RandR's ScreenChangeNotify. */
void screen_read_monitors(struct screen *screen);
/* Millimetres that @width * @height pixels at (@x, @y) of the root take; where the monitor does not
 * say, by the desktop's scale; 0: not known. */
void screen_measure(const struct screen *screen, int x, int y, uint32_t width, uint32_t height,
		    uint32_t *ret_width_mm, uint32_t *ret_height_mm);
/* The monitor at (@x, @y) of the root; the first one, where none is. */
const struct screen_monitor *screen_monitor_at(const struct screen *screen, int x, int y);
/* A cursor of the pixels, premultiplied ARGB; none where the server cannot. */
xcb_cursor_t screen_make_cursor(struct screen *screen, uint32_t width, uint32_t height,
				uint32_t hot_x, uint32_t hot_y, const uint32_t *argb);

#endif
