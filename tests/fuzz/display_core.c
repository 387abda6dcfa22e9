// SPDX-License-Identifier: GPL-2.0-or-later
// The display under a guest and windows that do anything in any order: the input is a script.
// Whatever a viewer is told must lie in the memory that it was given.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/display_rig.h"

#define HEADS	2
#define VIEWERS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct script {
	const uint8_t *at, *end;
	struct display *display;
	struct rig_guest guests[HEADS][DISPLAY_LAYERS];
	struct rig_viewer viewers[VIEWERS];
	bool looks[VIEWERS];
	unsigned int waits;
};

static uint8_t next(struct script *script)
{
	return script->at < script->end ? *script->at++ : 0;
}

static uint32_t next32(struct script *script)
{
	uint32_t value = next(script);

	/* Small ones, and those near the ends of all ranges. */
	return value & 128 ? value << 24 | next(script) : value << 2 | (value & 3);
}

static void refreshed(struct rig_guest *guest)
{
	struct script *script = guest->opaque;
	struct display_rect rect = { 0, 0, next32(script), next32(script) };

	if (next(script) & 1)
		(void)rig_show(script->display, 0, DISPLAY_LAYER_VGA, guest);
	display_damage(script->display, 0, DISPLAY_LAYER_VGA, &rect);
}

static void done(void *opaque)
{
	struct script *script = opaque;

	if (script->waits++ < 100 && next(script) & 1)
		(void)display_when_shown(script->display, 0, done, script);
}

static void act_guest(struct script *script, uint8_t op)
{
	static const uint32_t argb[LODGE_DISPLAY_CURSOR_MAX * LODGE_DISPLAY_CURSOR_MAX];
	unsigned int head = op >> 4 & 1;
	enum display_layer layer = op >> 5 & 1 ? DISPLAY_LAYER_GPU : DISPLAY_LAYER_VGA;
	struct rig_guest *guest = &script->guests[head][layer];
	struct display_rect rect;

	switch (op & 7) {
	case 0:
		guest->width = next32(script) % 900;
		guest->height = next32(script) % 900;
		guest->stride = 0;
		guest->on_refresh = op & 64 ? refreshed : NULL;
		guest->opaque = script;
		(void)rig_show(script->display, head, layer, guest);
		break;
	case 1:
		(void)display_set_picture(script->display, head, layer, NULL);
		if (op & 64)
			display_release_layer(script->display, layer);
		break;
	case 2:
	case 3:
		rect = (struct display_rect){ next32(script), next32(script), next32(script),
					      next32(script) };
		display_damage(script->display, head, layer, &rect);
		break;
	case 4:
		(void)display_set_cursor(script->display, head, next(script), next(script),
					 next(script), next(script), op & 64 ? argb : NULL);
		break;
	case 5:
		display_move_cursor(script->display, head, next32(script), next32(script));
		break;
	case 6:
		(void)display_when_shown(script->display, head, done, script);
		break;
	default:
		display_forget(script->display, script);
		break;
	}
}

static void act_host(struct script *script, uint8_t op)
{
	unsigned int i = (op >> 4 & 7) % VIEWERS;
	struct rig_viewer *viewer = &script->viewers[i];
	struct display_shot shot;

	switch (op & 7) {
	case 0:
		if (script->looks[i])
			rig_leave(script->display, viewer);
		else
			rig_look(script->display, viewer, next(script) & 3);
		script->looks[i] = !script->looks[i];
		break;
	case 1:
		viewer->stuck = next(script) & 1;
		if (script->looks[i] && !viewer->stuck)
			display_viewer_ready(script->display, &viewer->viewer);
		break;
	case 2:
		viewer->lazy = next(script) & 1;
		break;
	case 3:
		if (script->looks[i])
			display_shown(script->display, &viewer->viewer, next(script) % 3,
				      viewer->serial);
		break;
	case 4:
		(void)display_resize(script->display, next(script) % 3, next32(script),
				     next32(script), 0, 0);
		break;
	case 5:
		if (!display_shoot(script->display, next(script) % 3, &shot))
			free(shot.pixels);
		break;
	case 6:
		display_replug(script->display);
		break;
	default:
		rig_advance(next(script) / 4.0);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = { .at = data, .end = data + size };

	script.display = rig_display(HEADS);
	while (script.at < script.end) {
		const uint8_t op = next(&script);

		if (op & 8)
			act_host(&script, op);
		else
			act_guest(&script, op);
	}
	display_forget(script.display, &script);
	for (unsigned int i = 0; i < VIEWERS; i++)
		if (script.looks[i])
			rig_leave(script.display, &script.viewers[i]);
	rig_end(script.display);
	return 0;
}
