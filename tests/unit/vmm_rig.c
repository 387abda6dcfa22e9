// SPDX-License-Identifier: GPL-2.0-or-later
// A machine of ports, a loop and interrupt lines, without KVM.
#include "tests/unit/vmm_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host-vmm/bus.h"
#include "host-vmm/loop.h"
#include "host-vmm/state.h"

static void must(int ret, const char *what)
{
	if (ret == 0)
		return;
	fprintf(stderr, "rig: %s: %s\n", what, strerror(-ret));
	abort();
}

void vmm_rig_create(struct vmm_rig *rig, const char *serial)
{
	memset(rig, 0, sizeof(*rig));
	rig->config.serial = strdup(serial);
	rig->config.i8042 = rig->config.legacy = true;
	rig->machine.config = &rig->config;
	rig->machine.irq = &rig->irq;
	must(bus_create("ports", 0x10000, &rig->machine.ports), "ports");
	must(bus_create("memory", 0, &rig->machine.mmio), "memory");
	must(loop_create("rig", &rig->machine.loop), "loop");
}

void vmm_rig_destroy(struct vmm_rig *rig)
{
	loop_destroy(rig->machine.loop);
	bus_destroy(rig->machine.mmio);
	bus_destroy(rig->machine.ports);
	free(rig->config.serial);
}

struct device *vmm_rig_add(struct vmm_rig *rig, const struct device_type *type)
{
	struct device *device = calloc(1, type->size);

	must(device ? 0 : -ENOMEM, type->name);
	device->type = type;
	device->machine = &rig->machine;
	snprintf(device->name, sizeof(device->name), "%s.0", type->name);
	must(type->create(device), type->name);
	return device;
}

void vmm_rig_remove(struct device *device)
{
	device->type->destroy(device);
	free(device);
}

int vmm_rig_save_and_load(struct device *device)
{
	struct state state = { 0 }, reader;
	int ret = device->type->save(device, &state);

	if (ret == 0) {
		device->type->reset(device);
		state_read_from(&reader, state.bytes, state.len);
		ret = device->type->load(device, &reader);
		if (ret == 0 && reader.at != reader.len)
			ret = -EOVERFLOW;
	}
	state_finish(&state);
	return ret;
}

uint8_t vmm_rig_in(struct vmm_rig *rig, unsigned int port)
{
	return bus_read(rig->machine.ports, port, 1);
}

void vmm_rig_out(struct vmm_rig *rig, unsigned int port, uint8_t value)
{
	bus_write(rig->machine.ports, port, value, 1);
}

bool vmm_rig_line(struct vmm_rig *rig, unsigned int gsi)
{
	return __atomic_load_n(&rig->irq.lines[gsi], __ATOMIC_SEQ_CST);
}

bool vmm_rig_wait_line(struct vmm_rig *rig, unsigned int gsi)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (int i = 0; i < 5000 && !vmm_rig_line(rig, gsi); i++)
		nanosleep(&pause, NULL);
	return vmm_rig_line(rig, gsi);
}

void irq_set_line(struct irq *irq, unsigned int gsi, bool high)
{
	if (__atomic_exchange_n(&irq->lines[gsi], high, __ATOMIC_SEQ_CST) != high && high)
		__atomic_add_fetch(&irq->edges[gsi], 1, __ATOMIC_SEQ_CST);
}

void machine_request(struct machine *machine, enum machine_event event)
{
	__atomic_store_n(&machine->event, event, __ATOMIC_SEQ_CST);
}
