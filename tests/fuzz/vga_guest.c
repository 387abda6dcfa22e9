// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest that pokes at the VGA: ports, legacy window, Bochs VBE and BAR 0, with pictures taken,
 * resets, and states saved and loaded in between.
 *
 * Input: steps of six bytes: what, three bytes of where, two of value. Step "load" takes the rest
 * of the input as a state, written over one that is sound.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/state.h"
#include "protocol/lib/log.h"
#include "tests/unit/vga_rig.h"

#define STEP   6u
#define WINDOW 0xa0000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint16_t ports[16] = { 0x3b0, 0x3b4, 0x3b8, 0x3c0, 0x3c2, 0x3c4, 0x3c6, 0x3c8,
				    0x3ce, 0x3d4, 0x3d8, 0x3da, 0x1cc, 0x1ce, 0x1cf, 0x1d0 };

static void shoot(struct vga_rig *rig)
{
	struct display_shot shot;

	if (display_shoot(rig->rig.machine.display, 0, &shot) == 0)
		free(shot.pixels);
}

static void reload(struct vga_rig *rig, const uint8_t *over, size_t size)
{
	struct state state = { 0 }, from;

	if (vga_save(rig->vga, &state) < 0)
		abort();
	memcpy(state.bytes, over, size < state.len ? size : state.len);
	state_read_from(&from, state.bytes, state.len);
	if (vga_load(rig->vga, &from) < 0 && size == 0)
		abort();
	state_finish(&state);
}

static void step(struct vga_rig *rig, const uint8_t *data, size_t size)
{
	uint32_t where = data[1] | (uint32_t)data[2] << 8 | (uint32_t)data[3] << 16;
	uint32_t value = data[4] | (uint32_t)data[5] << 8;
	unsigned int bytes = 1u << (data[0] >> 4 & 3);

	switch (data[0] & 15) {
	case 0:
	case 1:
		vga_rig_out(rig, (uint16_t)(ports[where & 15] + (where >> 4 & 3)), value * 0x10001,
			    bytes > 4 ? 4 : bytes);
		break;
	case 2:
		(void)vga_rig_in(rig, (uint16_t)(ports[where & 15] + (where >> 4 & 3)),
				 bytes > 4 ? 4 : bytes);
		break;
	case 3:
		vga_rig_put(rig, WINDOW - 8 + where % 0x20010, value * 0x1000100010001ull, bytes);
		break;
	case 4:
		(void)vga_rig_get(rig, WINDOW - 8 + where % 0x20010, bytes);
		break;
	case 5:
		vga_rig_set(rig, 0x3c4, where & 7, (uint8_t)value);
		break;
	case 6:
		vga_rig_set(rig, 0x3ce, where & 15, (uint8_t)value);
		break;
	case 7:
		vga_rig_set(rig, 0x3d4, where & 31, (uint8_t)value);
		break;
	case 8:
		vga_rig_attr(rig, where & 31, (uint8_t)value);
		break;
	case 9:
	case 10:
		vga_rig_vbe(rig, (uint16_t)(where % 12), (uint16_t)value);
		break;
	case 11:
		vga_rig_put(rig, rig->lfb + where % (VGA_RIG_MEMORY - 8), value, bytes);
		(void)vga_rig_get(rig, rig->lfb + (where + value) % (VGA_RIG_MEMORY - 8), bytes);
		break;
	case 12:
		shoot(rig);
		break;
	case 13:
		reload(rig, data + STEP, 0);
		break;
	case 14:
		reload(rig, data + STEP, size - STEP);
		break;
	case 15:
		vga_reset(rig->vga);
		break;
	}
}

/* One machine for all inputs, at power-on state for each. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vga_rig rig;

	if (rig.vga) {
		vga_reset(rig.vga);
	} else {
		log_set_level(LOG_LEVEL_ERROR);
		vga_rig_create(&rig);
	}
	for (; size >= STEP; data += STEP, size -= STEP)
		step(&rig, data, size);
	return 0;
}
