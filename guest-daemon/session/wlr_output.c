// SPDX-License-Identifier: GPL-2.0-or-later
// The tables of wlr-output-management-unstable-v1 (wlr_output.h).
#include "guest-daemon/session/wlr_output.h"

#include <stddef.h>

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* libwayland wants a place for each argument, also where it is no object. */
static const struct wl_interface *no_objects[] = { NULL, NULL, NULL };
static const struct wl_interface *a_head[] = { &wlr_output_head_interface };
static const struct wl_interface *a_mode[] = { &wlr_output_mode_interface };
static const struct wl_interface *a_configuration[] = { &wlr_output_configuration_interface, NULL };
static const struct wl_interface *a_head_of_it[] = { &wlr_output_configuration_head_interface,
						     &wlr_output_head_interface };

static const struct wl_message manager_requests[] = {
	{ "create_configuration", "nu", a_configuration },
	{ "stop", "", no_objects },
};
static const struct wl_message manager_events[] = {
	{ "head", "n", a_head },
	{ "done", "u", no_objects },
	{ "finished", "", no_objects },
};
const struct wl_interface wlr_output_manager_interface = {
	"zwlr_output_manager_v1", 1, COUNT(manager_requests), manager_requests, 3, manager_events,
};

static const struct wl_message head_events[] = {
	{ "name", "s", no_objects },	       { "description", "s", no_objects },
	{ "physical_size", "ii", no_objects }, { "mode", "n", a_mode },
	{ "enabled", "i", no_objects },	       { "current_mode", "o", a_mode },
	{ "position", "ii", no_objects },      { "transform", "i", no_objects },
	{ "scale", "f", no_objects },	       { "finished", "", no_objects },
};
const struct wl_interface wlr_output_head_interface = {
	"zwlr_output_head_v1", 1, 0, NULL, COUNT(head_events), head_events,
};

static const struct wl_message mode_events[] = {
	{ "size", "ii", no_objects },
	{ "refresh", "i", no_objects },
	{ "preferred", "", no_objects },
	{ "finished", "", no_objects },
};
const struct wl_interface wlr_output_mode_interface = {
	"zwlr_output_mode_v1", 1, 0, NULL, COUNT(mode_events), mode_events,
};

static const struct wl_message configuration_requests[] = {
	{ "enable_head", "no", a_head_of_it }, { "disable_head", "o", a_head },
	{ "apply", "", no_objects },	       { "test", "", no_objects },
	{ "destroy", "", no_objects },
};
static const struct wl_message configuration_events[] = {
	{ "succeeded", "", no_objects },
	{ "failed", "", no_objects },
	{ "cancelled", "", no_objects },
};
const struct wl_interface wlr_output_configuration_interface = {
	"zwlr_output_configuration_v1", 1, COUNT(configuration_requests),
	configuration_requests,		3, configuration_events,
};

static const struct wl_message configuration_head_requests[] = {
	{ "set_mode", "o", a_mode },	      { "set_custom_mode", "iii", no_objects },
	{ "set_position", "ii", no_objects }, { "set_transform", "i", no_objects },
	{ "set_scale", "f", no_objects },
};
const struct wl_interface wlr_output_configuration_head_interface = {
	"zwlr_output_configuration_head_v1", 1, COUNT(configuration_head_requests),
	configuration_head_requests,	     0, NULL,
};
