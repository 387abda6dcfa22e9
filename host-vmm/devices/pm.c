// SPDX-License-Identifier: GPL-2.0-or-later
// ACPI hardware: power button, sleep, PM timer, GPE0. Source: ACPI 6.4 section 4.8.
#include "host-vmm/devices/pm.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "host-vmm/boot/acpi.h"
#include "host-vmm/bus.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/device.h"
#include "host-vmm/devices/legacy.h"
#include "host-vmm/irq.h"
#include "host-vmm/layout.h"
#include "host-vmm/machine.h"
#include "host-vmm/state.h"
#include "protocol/lib/log.h"

#define STATUS_PWRBTN (1u << 8)
#define STATUS_WAKE   (1u << 15)
#define STATUS_BITS   (STATUS_PWRBTN | STATUS_WAKE | 1u << 10 | 1u << 5 | 1u << 4 | 1u)
#define ENABLE_BITS   (1u << 10 | 1u << 8 | 1u << 5 | 1u)
#define CONTROL_SCI   (1u << 0)
#define CONTROL_KEPT  (1u << 1 | 7u << 10) /* bus master reload, SLP_TYP */
#define SLP_TYP(v)    ((v) >> 10 & 7)
#define SLP_EN	      (1u << 13)
#define SLEEP_TYP(v)  ((v) >> 2 & 7) /* of the sleep control register */
#define SLEEP_EN      (1u << 5)
#define STATE_VERSION 1

struct pm {
	struct device device;
	struct io_region region;
	pthread_mutex_t lock; /* what follows */
	uint16_t status, enable, control;
	uint16_t gpe_status, gpe_enable;
};

/* Under lock. The SCI is level-triggered: high while an enabled event is set. */
static void update_sci(struct pm *pm)
{
	bool high = (pm->status & pm->enable) || (pm->gpe_status & pm->gpe_enable);

	irq_set_line(pm->device.machine->irq, LAYOUT_IRQ_SCI, high);
}

static uint32_t timer_value(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)((uint64_t)now.tv_sec * PM_TIMER_HZ +
			  (uint64_t)now.tv_nsec * PM_TIMER_HZ / 1000000000u);
}

static uint8_t read_byte(const struct pm *pm, uint64_t offset)
{
	unsigned int shift = 8 * (offset & 1);

	switch (offset & ~1ull) {
	case PM_EVENT:
		return pm->status >> shift;
	case PM_EVENT + 2:
		return pm->enable >> shift;
	case PM_CONTROL:
		return (pm->control | CONTROL_SCI) >> shift;
	case PM_GPE0:
		return pm->gpe_status >> shift;
	case PM_GPE0 + 2:
		return pm->gpe_enable >> shift;
	}
	return 0;
}

static uint64_t pm_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pm *pm = opaque;
	uint32_t timer = timer_value();
	uint64_t value = 0;

	pthread_mutex_lock(&pm->lock);
	for (unsigned int i = 0; i < size; i++) {
		uint64_t at = offset + i;
		uint8_t byte = at - PM_TIMER < PM_TIMER_BYTES ? timer >> (8 * (at - PM_TIMER))
							      : read_byte(pm, at);

		value |= (uint64_t)byte << (8 * i);
	}
	pthread_mutex_unlock(&pm->lock);
	return value;
}

/* True if the guest goes to sleep for good. */
static bool write_control(struct pm *pm, uint16_t value)
{
	pm->control = value & CONTROL_KEPT;
	return (value & SLP_EN) && SLP_TYP(value) == ACPI_S5_SLP_TYP;
}

/* @mask says which bits of @value were written. */
static bool write_word(struct pm *pm, uint64_t offset, uint16_t value, uint16_t mask)
{
	switch (offset) {
	case PM_EVENT:
		pm->status &= ~(value & mask);
		break;
	case PM_EVENT + 2:
		pm->enable = ((pm->enable & ~mask) | (value & mask)) & ENABLE_BITS;
		break;
	case PM_CONTROL:
		return write_control(pm, (pm->control & ~mask) | (value & mask));
	case PM_GPE0:
		pm->gpe_status &= ~(value & mask);
		break;
	case PM_SLEEP_CONTROL:
		return (value & mask & SLEEP_EN) && SLEEP_TYP(value) == ACPI_S5_SLP_TYP;
	case PM_GPE0 + 2:
		pm->gpe_enable = (pm->gpe_enable & ~mask) | (value & mask);
		break;
	}
	return false;
}

static void pm_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pm *pm = opaque;
	bool off = false;

	pthread_mutex_lock(&pm->lock);
	for (unsigned int i = 0; i < size;) {
		uint64_t at = offset + i;
		bool whole = at % 2 == 0 && size - i >= 2;
		uint16_t part = value >> (8 * i) & (whole ? 0xffff : 0xff);
		unsigned int shift = 8 * (at & 1);

		off |= write_word(pm, at & ~1ull, (uint16_t)(part << shift),
				  whole ? 0xffff : (uint16_t)(0xff << shift));
		i += whole ? 2 : 1;
	}
	update_sci(pm);
	pthread_mutex_unlock(&pm->lock);
	if (off)
		machine_request(pm->device.machine, MACHINE_POWEROFF);
}

static const struct io_ops pm_ops = { .read = pm_read, .write = pm_write };

static int pm_create(struct device *device)
{
	struct pm *pm = (struct pm *)device;
	int ret;

	pthread_mutex_init(&pm->lock, NULL);
	pm->region = (struct io_region){
		.name = device->name,
		.size = PM_BYTES,
		.ops = &pm_ops,
		.opaque = pm,
	};
	ret = bus_claim(device->machine->ports, &pm->region, LAYOUT_PORT_PM);
	if (ret < 0) {
		log_error("%s: its ports are taken", device->name);
		pthread_mutex_destroy(&pm->lock);
	}
	return ret;
}

static void pm_reset(struct device *device)
{
	struct pm *pm = (struct pm *)device;

	pthread_mutex_lock(&pm->lock);
	pm->status = pm->enable = pm->control = pm->gpe_status = pm->gpe_enable = 0;
	update_sci(pm);
	pthread_mutex_unlock(&pm->lock);
}

static void pm_destroy(struct device *device)
{
	struct pm *pm = (struct pm *)device;

	bus_release(device->machine->ports, &pm->region);
	pthread_mutex_destroy(&pm->lock);
}

static int pm_save(struct device *device, struct state *state)
{
	struct pm *pm = (struct pm *)device;

	pthread_mutex_lock(&pm->lock);
	state_put_u8(state, STATE_VERSION);
	state_put_u16(state, pm->status);
	state_put_u16(state, pm->enable);
	state_put_u16(state, pm->control);
	state_put_u16(state, pm->gpe_status);
	state_put_u16(state, pm->gpe_enable);
	pthread_mutex_unlock(&pm->lock);
	return state_error(state);
}

static int pm_load(struct device *device, struct state *state)
{
	struct pm *pm = (struct pm *)device;
	uint8_t version = state_get_u8(state);
	uint16_t status = state_get_u16(state), enable = state_get_u16(state);
	uint16_t control = state_get_u16(state);
	uint16_t gpe_status = state_get_u16(state), gpe_enable = state_get_u16(state);

	if (state_error(state) < 0 || version != STATE_VERSION)
		return -EBADMSG;
	pthread_mutex_lock(&pm->lock);
	pm->status = status & STATUS_BITS;
	pm->enable = enable & ENABLE_BITS;
	pm->control = control & CONTROL_KEPT;
	pm->gpe_status = gpe_status;
	pm->gpe_enable = gpe_enable;
	update_sci(pm);
	pthread_mutex_unlock(&pm->lock);
	return 0;
}

void pm_press_power_button(struct device *device)
{
	struct pm *pm = (struct pm *)device;

	pthread_mutex_lock(&pm->lock);
	if (device->machine->config->legacy) {
		pm->status |= STATUS_PWRBTN;
		update_sci(pm);
	} else {
		irq_set_line(device->machine->irq, LAYOUT_IRQ_SCI, true);
		irq_set_line(device->machine->irq, LAYOUT_IRQ_SCI, false);
	}
	pthread_mutex_unlock(&pm->lock);
}

const struct device_type pm_type = {
	.name = "pm",
	.help = "ACPI power management: power button, sleep, timer",
	.size = sizeof(struct pm),
	.create = pm_create,
	.reset = pm_reset,
	.destroy = pm_destroy,
	.save = pm_save,
	.load = pm_load,
};
