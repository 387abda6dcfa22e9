/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine of ports, a loop and interrupt lines, without KVM: what the legacy devices are tested
 * and fuzzed with. It stands in for machine.c and irq.c.
 */
#ifndef LODGE_TESTS_VMM_RIG_H
#define LODGE_TESTS_VMM_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/device.h"
#include "host-vmm/irq.h"
#include "host-vmm/machine.h"

struct irq {
	bool lines[IRQ_LINES]; /* atomic */
	unsigned int edges[IRQ_LINES]; /* low to high; atomic */
};

struct vmm_rig {
	struct machine machine; /* event: what was requested last */
	struct vm_config config;
	struct irq irq;
};

/* @serial: the back end of the serial port. */
void vmm_rig_create(struct vmm_rig *rig, const char *serial);
void vmm_rig_destroy(struct vmm_rig *rig);
/* Aborts where it cannot be made. */
struct device *vmm_rig_add(struct vmm_rig *rig, const struct device_type *type);
void vmm_rig_remove(struct device *device);
/* Saves @device, resets it and loads what was saved: 0, or what failed. */
int vmm_rig_save_and_load(struct device *device);

uint8_t vmm_rig_in(struct vmm_rig *rig, unsigned int port);
void vmm_rig_out(struct vmm_rig *rig, unsigned int port, uint8_t value);
bool vmm_rig_line(struct vmm_rig *rig, unsigned int gsi);
/* Waits until it is high, 5 s at most. */
bool vmm_rig_wait_line(struct vmm_rig *rig, unsigned int gsi);

#endif
