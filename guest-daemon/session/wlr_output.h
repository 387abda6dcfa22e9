/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Wayland protocol wlr-output-management-unstable-v1 in its version 1, as libwayland wants a
 * protocol told: the names, the order of requests and events, and the types of their arguments are
 * its wire format.
 *
 * A manager tells of heads, a head of its modes; "done" ends what belongs together, and has a
 * serial. A configuration made with the latest serial names every head, is applied as a whole, and
 * is answered once.
 */
#ifndef LODGE_SESSION_WLR_OUTPUT_H
#define LODGE_SESSION_WLR_OUTPUT_H

#include <wayland-util.h>

extern const struct wl_interface wlr_output_manager_interface;
extern const struct wl_interface wlr_output_head_interface;
extern const struct wl_interface wlr_output_mode_interface;
extern const struct wl_interface wlr_output_configuration_interface;
extern const struct wl_interface wlr_output_configuration_head_interface;

enum wlr_output_manager_request {
	WLR_OUTPUT_MANAGER_CREATE_CONFIGURATION = 0,
	WLR_OUTPUT_MANAGER_STOP = 1,
};

enum wlr_output_manager_event {
	WLR_OUTPUT_MANAGER_HEAD = 0,
	WLR_OUTPUT_MANAGER_DONE = 1,
	WLR_OUTPUT_MANAGER_FINISHED = 2,
};

enum wlr_output_head_event {
	WLR_OUTPUT_HEAD_NAME = 0,
	WLR_OUTPUT_HEAD_DESCRIPTION = 1,
	WLR_OUTPUT_HEAD_PHYSICAL_SIZE = 2,
	WLR_OUTPUT_HEAD_MODE = 3,
	WLR_OUTPUT_HEAD_ENABLED = 4,
	WLR_OUTPUT_HEAD_CURRENT_MODE = 5,
	WLR_OUTPUT_HEAD_POSITION = 6,
	WLR_OUTPUT_HEAD_TRANSFORM = 7,
	WLR_OUTPUT_HEAD_SCALE = 8,
	WLR_OUTPUT_HEAD_FINISHED = 9,
};

enum wlr_output_mode_event {
	WLR_OUTPUT_MODE_SIZE = 0,
	WLR_OUTPUT_MODE_REFRESH = 1,
	WLR_OUTPUT_MODE_PREFERRED = 2,
	WLR_OUTPUT_MODE_FINISHED = 3,
};

enum wlr_output_configuration_request {
	WLR_OUTPUT_CONFIGURATION_ENABLE_HEAD = 0,
	WLR_OUTPUT_CONFIGURATION_DISABLE_HEAD = 1,
	WLR_OUTPUT_CONFIGURATION_APPLY = 2,
	WLR_OUTPUT_CONFIGURATION_TEST = 3,
	WLR_OUTPUT_CONFIGURATION_DESTROY = 4,
};

enum wlr_output_configuration_event {
	WLR_OUTPUT_CONFIGURATION_SUCCEEDED = 0,
	WLR_OUTPUT_CONFIGURATION_FAILED = 1,
	WLR_OUTPUT_CONFIGURATION_CANCELLED = 2,
};

enum wlr_output_configuration_head_request {
	WLR_OUTPUT_CONFIGURATION_HEAD_SET_MODE = 0,
	WLR_OUTPUT_CONFIGURATION_HEAD_SET_CUSTOM_MODE = 1, /* pixels, pixels, mHz or 0 */
	WLR_OUTPUT_CONFIGURATION_HEAD_SET_POSITION = 2,
	WLR_OUTPUT_CONFIGURATION_HEAD_SET_TRANSFORM = 3,
	WLR_OUTPUT_CONFIGURATION_HEAD_SET_SCALE = 4,
};

#endif
