/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lodge-view between an X server of its own (Xvfb) and a display of its own, with no VM: what its
 * window shows is compared with what a fake guest painted, and what a hand would do comes by XTEST.
 */
#ifndef LODGE_TESTS_VIEW_RIG_H
#define LODGE_TESTS_VIEW_RIG_H

#include <linux/input-event-codes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <xcb/xcb.h>

#include "host-vmm/display/display.h"
#include "host-vmm/input/input.h"

#define RIG_SIDE_MAX 1600u

/* What the fake guest has in its memory. */
struct view_guest {
	uint32_t width, height;
	enum lodge_display_source source;
	uint32_t seed; /* of the card that is painted */
	uint32_t pixels[RIG_SIDE_MAX * RIG_SIDE_MAX];
};

/* What its keyboard and pointer were told; under lock. */
struct view_events {
	pthread_mutex_t lock;
	unsigned int downs[KEY_CNT], ups[KEY_CNT];
	unsigned int n_down; /* now */
	int x, y, dx, dy, wheel_x, wheel_y;
	unsigned int points;
};

struct view_rig {
	struct display *display;
	struct input *input;
	struct display_server *server;
	char folder[64], socket[96];
	struct view_guest guests[2]; /* of heads 0 and 1 */
	struct view_events events;
	struct input_sink sink;
	bool absolute;
	xcb_connection_t *x;
	xcb_screen_t *root;
};

/* Once, before and after all tests; rig_x_name is then "$DISPLAY". */
void view_start_x(void);
/* One that shares no memory and draws nothing by itself, as over a network. */
void view_start_plain_x(void);
void view_stop_x(void);

void view_create(struct view_rig *rig, unsigned int heads, bool absolute);
/* With so many bytes of video memory. */
void view_create_small(struct view_rig *rig, unsigned int heads, bool absolute, uint64_t memory);
void view_destroy(struct view_rig *rig);
/* A lodge-view process on the rig's socket; for main() of the test to run. */
pid_t view_spawn(struct view_rig *rig, const char *option);
/* One that is told the VM's name, as `lodge view` does; and with its sandbox. */
pid_t view_spawn_as(struct view_rig *rig, const char *name, bool confined);
/* True, with the status: this process is such a lodge-view. */
bool view_is_child(int argc, char **argv, int *ret_status);
/* Its exit status; 128 + the signal. */
int view_wait(pid_t pid);

/* The guest shows a card of that size and seed; or nothing, of 0 x 0 and LODGE_DISPLAY_NONE. */
void view_show(struct view_rig *rig, unsigned int head, enum lodge_display_source source,
	       uint32_t width, uint32_t height, uint32_t seed);
/* It paints another card's pixels in a rectangle. */
void view_paint(struct view_rig *rig, unsigned int head, const struct display_rect *rect,
		uint32_t seed);
uint32_t view_card(uint32_t seed, uint32_t x, uint32_t y);

/* The window whose title begins so, once it is there and viewable. */
xcb_window_t view_find(struct view_rig *rig, const char *title);
/* Waits until the window has the size. */
void view_wait_size(struct view_rig *rig, xcb_window_t window, uint32_t width, uint32_t height);
void view_set_size(struct view_rig *rig, xcb_window_t window, uint32_t width, uint32_t height);
/* Waits until the window shows the guest's picture, pixel by pixel, @zoom times as large with its
 * corner at (@x, @y), and black around it. */
void view_wait_picture(struct view_rig *rig, xcb_window_t window, unsigned int head, uint32_t x,
		       uint32_t y, uint32_t zoom);
/* Waits until it is so. */
#define view_wait_for(condition)                                                   \
	do {                                                                       \
		for (int tries = 0; !(condition); tries++) {                       \
			ck_assert_msg(tries < 2000, "waited for: %s", #condition); \
			(void)poll(NULL, 0, 5);                                    \
		}                                                                  \
	} while (0)

xcb_atom_t view_atom(struct view_rig *rig, const char *name);
void view_focus(struct view_rig *rig, xcb_window_t window);
/* KEY_ codes, and X buttons. */
void view_key(struct view_rig *rig, uint16_t code, bool down);
void view_button(struct view_rig *rig, uint8_t button, bool down);
/* To a pixel of the window; or by a movement. */
void view_point(struct view_rig *rig, xcb_window_t window, int x, int y);
void view_move(struct view_rig *rig, int dx, int dy);
unsigned int view_n_down(struct view_rig *rig);

#endif
