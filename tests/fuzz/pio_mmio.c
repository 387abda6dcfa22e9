// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest that pokes at the legacy devices' ports: accesses of all sizes, on and across their
 * edges, with resets, presses of the power button, and states saved and loaded in between.
 *
 * Input: steps of five bytes: what (low four bits) and where (high four: which device's ports), an
 * offset, and a value of two bytes, widened; the fifth is added to it. Step "load" takes the rest
 * of the input as a state.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/bus.h"
#include "host-vmm/devices/legacy.h"
#include "host-vmm/devices/pm.h"
#include "host-vmm/layout.h"
#include "host-vmm/state.h"
#include "tests/unit/vmm_rig.h"

#define STEP	5u
#define DEVICES 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct device_type *const types[DEVICES] = { &pm_type, &rtc_type, &i8042_type,
							  &serial_type };

/* A few ports before each device, so that accesses begin outside and end inside. */
static const uint16_t bases[DEVICES] = { LAYOUT_PORT_PM - 4, LAYOUT_PORT_RTC - 4,
					 LAYOUT_PORT_I8042 - 4, LAYOUT_PORT_SERIAL - 4 };

static void step(struct vmm_rig *rig, struct device **devices, const uint8_t *data, size_t size)
{
	unsigned int what = data[0] & 15, which = data[0] >> 4 & (DEVICES - 1);
	uint64_t port = bases[which] + data[1] % 48u;
	uint64_t value = (data[2] | (uint64_t)data[3] << 8) * 0x10001 + data[4];
	struct device *device = devices[which];
	struct state state;

	switch (what) {
	case 15:
		device->type->reset(device);
		break;
	case 14:
		if (vmm_rig_save_and_load(device) < 0)
			abort();
		break;
	case 13:
		state_read_from(&state, data + STEP, size - STEP);
		(void)device->type->load(device, &state);
		break;
	case 12:
		pm_press_power_button(devices[0]);
		break;
	default:
		if (what & 1)
			(void)bus_read(rig->machine.ports, port, 1u << (what >> 1 & 3));
		else
			bus_write(rig->machine.ports, port, value, 1u << (what >> 1 & 3));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct device *devices[DEVICES];
	struct vmm_rig rig;

	vmm_rig_create(&rig, "none");
	for (unsigned int i = 0; i < DEVICES; i++)
		devices[i] = vmm_rig_add(&rig, types[i]);
	for (size_t at = 0; at + STEP <= size; at += STEP)
		step(&rig, devices, data + at, size - at);
	for (unsigned int i = DEVICES; i-- > 0;)
		vmm_rig_remove(devices[i]);
	vmm_rig_destroy(&rig);
	return 0;
}
