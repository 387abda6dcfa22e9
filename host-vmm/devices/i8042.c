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
#include "host-vmm/input/input.h"
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
#define BREAK_BIT	 0x80u /* of a translated byte */

#define STATE_VERSION 2

struct i8042 {
	struct device device;
	struct io_region data, command;
	pthread_mutex_t lock; /* what follows */
	uint8_t ram[RAM_BYTES]; /* [0]: configuration */
	uint8_t status, out; /* out: valid while STATUS_FULL */
	uint8_t pending; /* command whose byte comes next at the data port, or 0 */
	uint8_t output_port;
	struct ps2 keyboard, mouse;

	struct input_sink keyboard_sink, mouse_sink; /* where the machine has an input */
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

/* Under lock; something waits. */
static uint8_t take_from_keyboard(struct i8042 *i8042)
{
	uint8_t byte = ps2_take(&i8042->keyboard);

	if (!(i8042->ram[0] & CONFIG_TRANSLATE))
		return byte;
	if (byte == PS2_BREAK && i8042->keyboard.len > 0)
		return ps2_translate(ps2_take(&i8042->keyboard)) | BREAK_BIT;
	return ps2_translate(byte);
}

/* Under lock: the next byte that waits, if the last was read. */
static void refill(struct i8042 *i8042)
{
	if (!(i8042->status & STATUS_FULL)) {
		ps2_mouse_flush(&i8042->mouse);
		if (i8042->keyboard.len > 0 && !(i8042->ram[0] & CONFIG_KBD_OFF)) {
			put_out(i8042, take_from_keyboard(i8042), false);
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

static bool keyboard_listens(const struct i8042 *i8042)
{
	return i8042->keyboard.enabled && !(i8042->ram[0] & CONFIG_KBD_OFF);
}

static bool mouse_listens(const struct i8042 *i8042)
{
	return i8042->mouse.enabled && !(i8042->ram[0] & CONFIG_MOUSE_OFF);
}

/* What the machine's input is told of when it changes. */
struct listening {
	bool keyboard, mouse;
	uint8_t leds;
};

static struct listening listening(const struct i8042 *i8042)
{
	return (struct listening){ keyboard_listens(i8042), mouse_listens(i8042),
				   i8042->keyboard.leds };
}

/* Without the lock: the input calls sinks under its own. */
static void tell_input(struct i8042 *i8042, struct listening before, struct listening now)
{
	struct input *input = i8042->device.machine->input;
	uint32_t leds = (now.leds & 1u) << LED_SCROLLL | (now.leds >> 1 & 1u) << LED_NUML |
			(now.leds >> 2 & 1u) << LED_CAPSL;

	if (input && (before.keyboard != now.keyboard || before.leds != now.leds))
		input_sink_changed(input, &i8042->keyboard_sink, leds);
	if (input && before.mouse != now.mouse)
		input_sink_changed(input, &i8042->mouse_sink, 0);
}

static void take(struct i8042 *i8042, uint8_t byte, bool is_command)
{
	struct listening before, now;
	bool reset;

	pthread_mutex_lock(&i8042->lock);
	before = listening(i8042);
	i8042->status &= ~STATUS_COMMAND;
	if (is_command)
		i8042->status |= STATUS_COMMAND;
	reset = is_command ? command(i8042, byte) : data(i8042, byte);
	refill(i8042);
	now = listening(i8042);
	pthread_mutex_unlock(&i8042->lock);
	tell_input(i8042, before, now);
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

/* ---- what the machine's input gives ---- */

static bool keyboard_ready(void *opaque)
{
	struct i8042 *i8042 = opaque;
	bool ready;

	pthread_mutex_lock(&i8042->lock);
	ready = keyboard_listens(i8042);
	pthread_mutex_unlock(&i8042->lock);
	return ready;
}

static bool mouse_ready(void *opaque)
{
	struct i8042 *i8042 = opaque;
	bool ready;

	pthread_mutex_lock(&i8042->lock);
	ready = mouse_listens(i8042);
	pthread_mutex_unlock(&i8042->lock);
	return ready;
}

static void give_key(void *opaque, uint16_t code, bool down)
{
	struct i8042 *i8042 = opaque;

	pthread_mutex_lock(&i8042->lock);
	ps2_keyboard_key(&i8042->keyboard, code, down);
	refill(i8042);
	pthread_mutex_unlock(&i8042->lock);
}

static void give_button(void *opaque, uint16_t code, bool down)
{
	struct i8042 *i8042 = opaque;

	pthread_mutex_lock(&i8042->lock);
	ps2_mouse_button(&i8042->mouse, code, down);
	refill(i8042);
	pthread_mutex_unlock(&i8042->lock);
}

static void give_move(void *opaque, int32_t dx, int32_t dy)
{
	struct i8042 *i8042 = opaque;

	pthread_mutex_lock(&i8042->lock);
	ps2_mouse_move(&i8042->mouse, dx, dy);
	refill(i8042);
	pthread_mutex_unlock(&i8042->lock);
}

/* The protocol has no second wheel. */
static void give_wheel(void *opaque, int32_t dx, int32_t dy)
{
	struct i8042 *i8042 = opaque;

	(void)dx;
	pthread_mutex_lock(&i8042->lock);
	ps2_mouse_wheel(&i8042->mouse, dy);
	refill(i8042);
	pthread_mutex_unlock(&i8042->lock);
}

static const struct input_sink_ops keyboard_ops = { .ready = keyboard_ready, .key = give_key };
static const struct input_sink_ops mouse_ops = {
	.ready = mouse_ready,
	.button = give_button,
	.move = give_move,
	.wheel = give_wheel,
};

static void add_sinks(struct i8042 *i8042)
{
	struct input *input = i8042->device.machine->input;

	i8042->keyboard_sink = (struct input_sink){
		.rank = INPUT_RANK_PS2,
		.ops = &keyboard_ops,
		.opaque = i8042,
	};
	i8042->mouse_sink = i8042->keyboard_sink;
	i8042->mouse_sink.ops = &mouse_ops;
	if (!input)
		return;
	input_add_sink(input, &i8042->keyboard_sink);
	input_add_sink(input, &i8042->mouse_sink);
}

/* ---- life ---- */

static void power_on(struct i8042 *i8042)
{
	memset(i8042->ram, 0, sizeof(i8042->ram));
	i8042->ram[0] = CONFIG_AT_POWER_ON;
	i8042->status = STATUS_SYSTEM | STATUS_UNLOCKED;
	i8042->out = i8042->pending = 0;
	i8042->output_port = OUTPUT_DEFAULT;
	ps2_keyboard_reset(&i8042->keyboard);
	ps2_mouse_reset(&i8042->mouse);
	set_lines(i8042);
}

static void i8042_reset(struct device *device)
{
	struct i8042 *i8042 = (struct i8042 *)device;
	struct listening before, now;

	pthread_mutex_lock(&i8042->lock);
	before = listening(i8042);
	power_on(i8042);
	now = listening(i8042);
	pthread_mutex_unlock(&i8042->lock);
	tell_input(i8042, before, now);
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
	power_on(i8042);
	i8042->data = one_port(i8042, &data_ops);
	i8042->command = one_port(i8042, &command_ops);
	ret = bus_claim(ports, &i8042->data, LAYOUT_PORT_I8042);
	if (ret == 0)
		ret = bus_claim(ports, &i8042->command, LAYOUT_PORT_I8042 + COMMAND_PORT);
	if (ret < 0) {
		log_error("%s: its ports are taken", device->name);
		bus_release(ports, &i8042->data);
		pthread_mutex_destroy(&i8042->lock);
		return ret;
	}
	add_sinks(i8042);
	return 0;
}

static void i8042_destroy(struct device *device)
{
	struct i8042 *i8042 = (struct i8042 *)device;
	struct input *input = device->machine->input;

	if (input) {
		input_remove_sink(input, &i8042->mouse_sink);
		input_remove_sink(input, &i8042->keyboard_sink);
	}
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
	if (ret == 0) {
		/* Nobody holds in this monitor what was held in that one. */
		ps2_keyboard_release(&i8042->keyboard);
		refill(i8042);
	}
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
