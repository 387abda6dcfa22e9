// SPDX-License-Identifier: GPL-2.0-or-later
// A machine's screens on the control socket: what they show, what they should, who looks.
#include "host-vmm/control/display.h"

#include <string.h>

#include "host-vmm/backdoor/facts.h"
#include "host-vmm/display/display.h"
#include "host-vmm/machine.h"

static const char *const sources[] = {
	[LODGE_DISPLAY_NONE] = "off",
	[LODGE_DISPLAY_TEXT] = "text",
	[LODGE_DISPLAY_VGA] = "vga",
	[LODGE_DISPLAY_GPU] = "gpu",
};

static json_t *row_of(unsigned int head, const struct display_head_state *state)
{
	const struct display_want *want = &state->want;
	json_t *row = json_object();

	json_object_set_new(row, "screen", json_integer((json_int_t)head + 1));
	json_object_set_new(row, "source", json_string(sources[state->source]));
	json_object_set_new(row, "width", json_integer((json_int_t)state->width));
	json_object_set_new(row, "height", json_integer((json_int_t)state->height));
	json_object_set_new(row, "want_width", json_integer((json_int_t)want->width));
	json_object_set_new(row, "want_height", json_integer((json_int_t)want->height));
	json_object_set_new(row, "width_mm", json_integer((json_int_t)want->width_mm));
	json_object_set_new(row, "height_mm", json_integer((json_int_t)want->height_mm));
	json_object_set_new(row, "windows", json_integer((json_int_t)state->windows));
	json_object_set_new(row, "mode_sets", json_integer((json_int_t)state->mode_sets));
	json_object_set_new(row, "frames", json_integer((json_int_t)state->frames));
	json_object_set_new(row, "copied_bytes", json_integer((json_int_t)state->copied_bytes));
	return row;
}

json_t *control_screens(struct machine *machine)
{
	struct display_head_state state;
	json_t *rows;

	if (!machine->display)
		return NULL;
	rows = json_array();
	for (unsigned int i = 0; !display_state(machine->display, i, &state); i++)
		json_array_append_new(rows, row_of(i, &state));
	return rows;
}

/* Who follows where virtio-gpu is driven: the guest's tools know. */
static const struct {
	const char *owner, *by;
} followers[] = {
	{ "console", "lodged, on the text console" },
	{ "lodge-session", "lodge-session" },
};

static int rung_of_guest(const struct tools_facts *facts, const char **ret_by)
{
	*ret_by = "virtio-gpu";
	if (!facts)
		return 0;
	if (!strcmp(facts->display_driver, "lodge_display")) {
		*ret_by = "lodge_display";
		return 2;
	}
	for (size_t i = 0; i < sizeof(followers) / sizeof(followers[0]); i++) {
		if (strcmp(facts->display_owner, followers[i].owner) != 0)
			continue;
		*ret_by = followers[i].by;
		return 1;
	}
	return 0;
}

int control_display_rung(struct machine *machine, const struct tools_facts *facts,
			 const char **ret_by)
{
	struct display_head_state state;

	*ret_by = "turned off in vm.conf";
	if (!machine->display || display_state(machine->display, 0, &state))
		return -1;
	switch (state.source) {
	case LODGE_DISPLAY_GPU:
		return rung_of_guest(facts, ret_by);
	case LODGE_DISPLAY_TEXT:
	case LODGE_DISPLAY_VGA:
		*ret_by = "VGA: sizes do not follow";
		return 0;
	default:
		*ret_by = "the guest shows nothing";
		return -1;
	}
}
