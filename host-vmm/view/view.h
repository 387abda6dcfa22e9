/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole of lodge-view: a VM's screens in windows, one for each head, and the keyboard and the
 * pointer over them.
 *
 * view.c waits for X and for the monitor and hands on what they say; window.c is a head's window,
 * keyboard.c and pointer.c are what people do. Locking: none; one thread, which waits in poll(2)
 * and has no timer but while a window waits for the guest to follow its size.
 */
#ifndef LODGE_VIEW_VIEW_H
#define LODGE_VIEW_VIEW_H

#include <stdbool.h>
#include <stdint.h>
#include <xcb/xcb.h>

#include "host-vmm/view/link.h"
#include "host-vmm/view/picture.h"
#include "host-vmm/view/screen.h"

/* For so long a guest that follows sizes may take to follow; only then its picture is scaled. */
#define VIEW_FOLLOW_MS 1000
#define VIEW_ASKS      4u

struct view;

struct window {
	struct view *view; /* borrowed */
	unsigned int head;
	xcb_window_t id; /* 0: the head has no window */
	bool dismissed; /* somebody closed it: it stays so */
	struct picture picture;
	uint32_t width, height; /* as X says */
	int root_x, root_y; /* as the window manager says */
	bool fullscreen; /* as the window manager says, or as it was asked for last */

	/* Until somebody gives it a size, the window takes the frame's. */
	bool sized;
	uint32_t asks[VIEW_ASKS][2]; /* sizes that we gave it last */
	unsigned int next_ask;
	bool resize_due; /* the monitor is to be told */
	uint32_t told[2], told_mm[2]; /* what it was told last; 0: nothing */
	bool too_large; /* for the video memory: the guest was asked for less */
	int64_t follow_until; /* CLOCK_MONOTONIC in ms; 0: nobody is waited for */

	xcb_cursor_t cursor; /* the guest's; 0: none */
};

struct pointer {
	bool due; /* a place is to be told */
	struct window *window;
	int32_t x, y; /* of the window */
	double rest_x, rest_y; /* parts of a pixel that were not told */
};

struct view_options {
	const char *socket, *display; /* display NULL: $DISPLAY */
	const char *name; /* the VM's in titles; NULL: what it says itself */
	uint32_t heads; /* bit N: head N; 0: all that are on */
	xcb_keysym_t host_key; /* 0: none */
	const char *host_key_name;
	bool fullscreen;
	bool confined; /* by view_confine(), which no sanitizer of memory bears */
};

struct view {
	const struct view_options *options;
	struct screen screen;
	struct link *link;
	unsigned int n_heads; /* 0: no hello so far */
	uint64_t memory_max; /* bytes of all heads' pictures */
	char name[72];
	int shooter; /* view_start_shooter()'s, or -1 */
	struct window windows[LODGE_DISPLAY_HEADS_MAX];

	bool absolute; /* the guest takes places */
	uint32_t leds; /* of the guest's keyboard; bit N: LED_ N */
	struct window *focus;
	struct window *grab; /* keyboard, and where not absolute the pointer, are its own */
	bool host_down, host_used; /* the host key; whether it was the first of two */
	struct pointer pointer;

	bool quit;
	int status; /* the exit status then */
};

/* view.c. The exit status, by sysexits.h; says on stderr what went wrong. */
int view_run(const struct view_options *options);
struct window *view_window(struct view *view, xcb_window_t id);

/* shot.c */
/*
 * Forks a process that runs `lodge screenshot` for the VM called @name, into the user's home, each
 * time it reads the number of a head from the pipe whose other end is the descriptor that this
 * returns; it ends with it. Or a negative errno.
 */
int view_start_shooter(const char *name);
void view_shoot(struct view *view, const struct window *window);

/* confine.c. Takes from this process, for good, what a window does not need: files, programs,
 * sockets, code. A negative errno: the kernel does not filter calls. */
int view_confine(void);

/* window.c */
void window_open(struct window *window, struct view *view, unsigned int head);
void window_close(struct window *window);
void window_frame(struct window *window, const struct link_frame *frame, int fd);
void window_cursor(struct window *window, const struct link_cursor *cursor);
void window_configured(struct window *window, const xcb_configure_notify_event_t *event);
/* The window manager has changed its state. */
void window_state_changed(struct window *window);
/* The monitors have. */
void window_measure(struct window *window);
/* Sends the size that is due. */
void window_tell_size(struct window *window);
/* Whether it is time to scale what did not follow. */
void window_check_time(struct window *window, int64_t now_ms);
void window_title(struct window *window);
void window_set_fullscreen(struct window *window, bool on);
/* Which cursor X shows over it. */
void window_show_cursor(struct window *window);

/* keyboard.c */
/* What the keys beside the host key do, for titles and the terminal. */
#define KEYBOARD_COMMANDS "F full screen, G grab, D Ctrl-Alt-Del, S screenshot, Q close"
void keyboard_key(struct view *view, struct window *window, uint8_t keycode, bool down);
void keyboard_focus(struct view *view, struct window *window, bool in);
/* All that is held is let go, here and in the guest. */
void keyboard_release(struct view *view);
void keyboard_grab(struct view *view, struct window *window);
void keyboard_ungrab(struct view *view);

/* pointer.c */
void pointer_moved(struct view *view, struct window *window, int32_t x, int32_t y);
void pointer_button(struct view *view, struct window *window, uint8_t button, bool down);
/* XInput's raw movement, while the pointer is grabbed. */
void pointer_raw(struct view *view, const xcb_ge_generic_event_t *event);
/* Sends the place that is due. */
void pointer_flush(struct view *view);
void pointer_watch_raw(struct view *view, bool on);

#endif
