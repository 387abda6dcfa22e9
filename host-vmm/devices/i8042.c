// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The keyboard controller, with a keyboard and a mouse. Source: Intel 8042 as in the IBM PS/2
 * Hardware Interface Technical Reference.
 *
 * It answers at once: everything that a guest waits for is there when it looks.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "host-vmm/bus.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/device.h"
#include "host-vmm/devices/legacy.h"
#include "host-vmm/devices/ps2.h"
#include "host-vmm/irq.h"
#include "host-vmm/layout.h"
#include "host-vmm/machine.h"
#include "host-vmm/state.h"
#include "protocol/lib/log.h"

#define COMMAND_PORT 4u /* from the data port */

#define STATUS_FULL	0x01u /* a byte waits at the data port */
#define STATUS_SYSTEM	0x04u
#define STATUS_COMMAND	0x08u /* the last write was to the command port */
#define STATUS_UNLOCKED 0x10u
#define STATUS_MOUSE	0x20u /* the waiting byte is the mouse's */

#define CONFIG_KBD_IRQ	   0x01u
#define CONFIG_MOUSE_IRQ   0x02u
#define CONFIG_SYSTEM	   0x04u
#define CONFIG_KBD_OFF	   0x10u
#define CONFIG_MOUSE_OFF   0x20u
#define CONFIG_TRANSLATE   0x40u
#define CONFIG_AT_POWER_ON (CONFIG_SYSTEM | CONFIG_KBD_IRQ | CONFIG_TRANSLATE)

#define CMD_READ_RAM	 0x20u /* to 0x3f; the first is the configuration byte */
#define CMD_WRITE_RAM	 0x60u /* to 0x7f */
#define CMD_MOUSE_OFF	 0xa7u
#define CMD_MOUSE_ON	 0xa8u
#define CMD_TEST_MOUSE	 0xa9u
#define CMD_SELF_TEST	 0xaau
#define CMD_TEST_KBD	 0xabu
#define CMD_KBD_OFF	 0xadu
#define CMD_KBD_ON	 0xaeu
#define CMD_READ_INPUT	 0xc0u
#define CMD_READ_OUTPUT	 0xd0u
#define CMD_WRITE_OUTPUT 0xd1u
#define CMD_FROM_KBD	 0xd2u /* put back as if the keyboard had sent it */
#define CMD_FROM_MOUSE	 0xd3u
#define CMD_TO_MOUSE	 0xd4u
#define CMD_PULSE	 0xf0u /* to 0xff: bits that are 0 are pulsed low; bit 0 resets */
#define SELF_TEST_PASSED 0x55u
#define OUTPUT_NO_RESET	 0x01u
#define OUTPUT_DEFAULT	 0x03u /* no reset, A20 open */
#define RAM_BYTES	 32u
#define ID_UNTRANSLATED	 0x83u
#define ID_TRANSLATED	 0x41u

#define STATE_VERSION 1

struct i8042 {
	struct device device;
	struct io_region data, command;
	pthread_mutex_t lock; /* what follows */
	uint8_t ram[RAM_BYTES]; /* [0]: configuration */
	uint8_t status, out; /* out: valid while STATUS_FULL */
	uint8_t pending; /* command whose byte comes next at the data port, or 0 */
	uint8_t output_port;
	struct ps2 keyboard, mouse;
};

static void set_lines(struct i8042 *i8042)
{
	bool full = i8042->status & STATUS_FULL, mouse = i8042->status & STATUS_MOUSE;
	struct irq *irq = i8042->device.machine->irq;

	irq_set_line(irq, LAYOUT_IRQ_KEYBOARD, full && !mouse && (i8042->ram[0] & CONFIG_KBD_IRQ));
	irq_set_line(irq, LAYOUT_IRQ_MOUSE, full && mouse && (i8042->ram[0] & CONFIG_MOUSE_IRQ));
}

static void put_out(struct i8042 *i8042, uint8_t byte, bool mouse)
{
	i8042->out = byte;
	i8042->status &= ~STATUS_MOUSE;
	i8042->status |= STATUS_FULL | (mouse ? STATUS_MOUSE : 0);
}

/* Under lock: the next byte that waits, if the last was read. */
static void refill(struct i8042 *i8042)
{
	bool translate = i8042->ram[0] & CONFIG_TRANSLATE;
	uint8_t byte;

	if (!(i8042->status & STATUS_FULL)) {
		if (i8042->keyboard.len > 0 && !(i8042->ram[0] & CONFIG_KBD_OFF)) {
			byte = ps2_take(&i8042->keyboard);
			if (translate && byte == ID_UNTRANSLATED)
				byte = ID_TRANSLATED;
			put_out(i8042, byte, false);
		} else if (i8042->mouse.len > 0 && !(i8042->ram[0] & CONFIG_MOUSE_OFF)) {
			put_out(i8042, ps2_take(&i8042->mouse), true);
		}
	}
	set_lines(i8042);
}

/* True if the guest asks for a reset. */
static bool command(struct i8042 *i8042, uint8_t byte)
{
	i8042->pending = 0;
	if (byte >= CMD_READ_RAM && byte < CMD_READ_RAM + RAM_BYTES) {
		put_out(i8042, i8042->ram[byte - CMD_READ_RAM], false);
		return false;
	}
	if (byte >= CMD_WRITE_RAM && byte < CMD_WRITE_RAM + RAM_BYTES) {
		i8042->pending = byte;
		return false;
	}
	if (byte >= CMD_PULSE)
		return !(byte & 1);
	switch (byte) {
	case CMD_MOUSE_OFF:
		i8042->ram[0] |= CONFIG_MOUSE_OFF;
		break;
	case CMD_MOUSE_ON:
		i8042->ram[0] &= ~CONFIG_MOUSE_OFF;
		break;
	case CMD_KBD_OFF:
		i8042->ram[0] |= CONFIG_KBD_OFF;
		break;
	case CMD_KBD_ON:
		i8042->ram[0] &= ~CONFIG_KBD_OFF;
		break;
	case CMD_TEST_MOUSE:
	case CMD_TEST_KBD:
	case CMD_READ_INPUT:
		put_out(i8042, 0, false);
		break;
	case CMD_SELF_TEST:
		put_out(i8042, SELF_TEST_PASSED, false);
		break;
	case CMD_READ_OUTPUT:
		put_out(i8042, i8042->output_port, false);
		break;
	case CMD_WRITE_OUTPUT:
	case CMD_FROM_KBD:
	case CMD_FROM_MOUSE:
	case CMD_TO_MOUSE:
		i8042->pending = byte;
		break;
	}
	return false;
}

static bool data(struct i8042 *i8042, uint8_t byte)
{
	uint8_t pending = i8042->pending;

	i8042->pending = 0;
	if (pending >= CMD_WRITE_RAM && pending < CMD_WRITE_RAM + RAM_BYTES) {
		i8042->ram[pending - CMD_WRITE_RAM] = byte;
		return false;
	}
	switch (pending) {
	case CMD_WRITE_OUTPUT:
		i8042->output_port = byte | OUTPUT_NO_RESET;
		return !(byte & OUTPUT_NO_RESET);
	case CMD_FROM_KBD:
	case CMD_FROM_MOUSE:
		put_out(i8042, byte, pending == CMD_FROM_MOUSE);
		break;
	case CMD_TO_MOUSE:
		ps2_mouse_write(&i8042->mouse, byte);
		break;
	default:
		i8042->ram[0] &= ~CONFIG_KBD_OFF;
		ps2_keyboard_write(&i8042->keyboard, byte);
	}
	return false;
}

static uint64_t read_data(void *opaque, uint64_t offset, unsigned int size)
{
	struct i8042 *i8042 = opaque;
	uint8_t value;

	(void)offset;
	(void)size;
	pthread_mutex_lock(&i8042->lock);
	value = i8042->out;
	i8042->status &= ~(STATUS_FULL | STATUS_MOUSE);
	/* Low in between, so that the next byte makes an edge. */
	set_lines(i8042);
	refill(i8042);
	pthread_mutex_unlock(&i8042->lock);
	return value;
}

static uint64_t read_status(void *opaque, uint64_t offset, unsigned int size)
{
	struct i8042 *i8042 = opaque;
	uint8_t value;

	(void)offset;
	(void)size;
	pthread_mutex_lock(&i8042->lock);
	value = i8042->status;
	pthread_mutex_unlock(&i8042->lock);
	return value;
}

static void take(struct i8042 *i8042, uint8_t byte, bool is_command)
{
	bool reset;

	pthread_mutex_lock(&i8042->lock);
	i8042->status &= ~STATUS_COMMAND;
	if (is_command)
		i8042->status |= STATUS_COMMAND;
	reset = is_command ? command(i8042, byte) : data(i8042, byte);
	refill(i8042);
	pthread_mutex_unlock(&i8042->lock);
	if (reset)
		machine_request(i8042->device.machine, MACHINE_RESET);
}

static void write_data(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	(void)offset;
	(void)size;
	take(opaque, value, false);
}

static void write_command(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	(void)offset;
	(void)size;
	take(opaque, value, true);
}

static const struct io_ops data_ops = { .read = read_data, .write = write_data };
static const struct io_ops command_ops = { .read = read_status, .write = write_command };

static void i8042_reset(struct device *device)
{
	struct i8042 *i8042 = (struct i8042 *)device;

	pthread_mutex_lock(&i8042->lock);
	memset(i8042->ram, 0, sizeof(i8042->ram));
	i8042->ram[0] = CONFIG_AT_POWER_ON;
	i8042->status = STATUS_SYSTEM | STATUS_UNLOCKED;
	i8042->out = i8042->pending = 0;
	i8042->output_port = OUTPUT_DEFAULT;
	ps2_keyboard_reset(&i8042->keyboard);
	ps2_mouse_reset(&i8042->mouse);
	set_lines(i8042);
	pthread_mutex_unlock(&i8042->lock);
}

static struct io_region one_port(struct i8042 *i8042, const struct io_ops *ops)
{
	return (struct io_region){
		.name = i8042->device.name,
		.size = 1,
		.ops = ops,
		.opaque = i8042,
	};
}

static int i8042_create(struct device *device)
{
	struct i8042 *i8042 = (struct i8042 *)device;
	struct bus *ports = device->machine->ports;
	int ret;

	pthread_mutex_init(&i8042->lock, NULL);
	i8042_reset(device);
	i8042->data = one_port(i8042, &data_ops);
	i8042->command = one_port(i8042, &command_ops);
	ret = bus_claim(ports, &i8042->data, LAYOUT_PORT_I8042);
	if (ret == 0)
		ret = bus_claim(ports, &i8042->command, LAYOUT_PORT_I8042 + COMMAND_PORT);
	if (ret < 0) {
		log_error("%s: its ports are taken", device->name);
		bus_release(ports, &i8042->data);
		pthread_mutex_destroy(&i8042->lock);
	}
	return ret;
}

static void i8042_destroy(struct device *device)
{
	struct i8042 *i8042 = (struct i8042 *)device;

	bus_release(device->machine->ports, &i8042->command);
	bus_release(device->machine->ports, &i8042->data);
	pthread_mutex_destroy(&i8042->lock);
}

static int i8042_save(struct device *device, struct state *state)
{
	struct i8042 *i8042 = (struct i8042 *)device;

	pthread_mutex_lock(&i8042->lock);
	state_put_u8(state, STATE_VERSION);
	state_put(state, i8042->ram, sizeof(i8042->ram));
	state_put_u8(state, i8042->status);
	state_put_u8(state, i8042->out);
	state_put_u8(state, i8042->pending);
	state_put_u8(state, i8042->output_port);
	ps2_save(&i8042->keyboard, state);
	ps2_save(&i8042->mouse, state);
	pthread_mutex_unlock(&i8042->lock);
	return state_error(state);
}

static int i8042_load(struct device *device, struct state *state)
{
	struct i8042 *i8042 = (struct i8042 *)device;
	int ret = 0;

	pthread_mutex_lock(&i8042->lock);
	if (state_get_u8(state) != STATE_VERSION)
		ret = -EBADMSG;
	state_get(state, i8042->ram, sizeof(i8042->ram));
	i8042->status = state_get_u8(state) & ~2u;
	i8042->out = state_get_u8(state);
	i8042->pending = state_get_u8(state);
	i8042->output_port = state_get_u8(state);
	if (ret == 0)
		ret = ps2_load(&i8042->keyboard, state);
	if (ret == 0)
		ret = ps2_load(&i8042->mouse, state);
	if (ret == 0)
		ret = state_error(state);
	if (ret == 0)
		set_lines(i8042);
	pthread_mutex_unlock(&i8042->lock);
	if (ret < 0)
		i8042_reset(device);
	return ret;
}

static size_t i8042_count(const struct vm_config *config)
{
	return config->i8042 && config->legacy;
}

const struct device_type i8042_type = {
	.name = "i8042",
	.help = "PS/2 keyboard and mouse ([device] i8042)",
	.size = sizeof(struct i8042),
	.count = i8042_count,
	.create = i8042_create,
	.reset = i8042_reset,
	.destroy = i8042_destroy,
	.save = i8042_save,
	.load = i8042_load,
};
