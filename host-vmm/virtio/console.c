// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-console: the guest's terminal and its named ports (virtio 1.2 section 5.3).
 *
 * Port "console" is a device of its own without MULTIPORT, all other ports share a second device
 * with it. So the terminal's size travels in configuration space; the RESIZE control message, which
 * would carry it otherwise, is read with rows and columns swapped by many kernels.
 *
 * Control messages to the guest are no queue of ours: each port has a bit for each kind that it has
 * still to be told, in the order of control_order, and a message is made when a buffer is there.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/loop.h"
#include "host-vmm/machine.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/console.h"
#include "host-vmm/virtio/console_private.h"
#include "host-vmm/virtio/models.h"

#define CONSOLE_CLASS 0x078000 /* PCI: other communication controller */
#define TERMINAL_PORT "console"
#define CONTROL_BATCH 256u

/* Queues (section 5.3.2). Port 0's come first, the control queues, then those of ports 1, 2 ... */
enum {
	QUEUE_RX0 = 0,
	QUEUE_TX0 = 1,
	QUEUE_CONTROL_RX = 2, /* to the guest */
	QUEUE_CONTROL_TX = 3,
	QUEUE_RX1 = 4,
};

/* What a port that the guest has found gets to hear, first to last. */
static const uint8_t control_order[] = {
	VIRTIO_CONSOLE_PORT_ADD,
	VIRTIO_CONSOLE_PORT_NAME,
	VIRTIO_CONSOLE_PORT_OPEN,
};

static struct virtio_console *console_of(struct virtio_device *vdev)
{
	return (struct virtio_console *)vdev->device;
}

static bool speaks_multiport(const struct virtio_console *console)
{
	return virtio_has_feature(&console->model.vdev, VIRTIO_CONSOLE_F_MULTIPORT);
}

/* ---- control messages to the guest ---- */

static size_t make_message(struct console_port *port, uint8_t event, uint8_t *bytes, size_t room)
{
	struct virtio_console_control message = {
		.id = htole32(port->id),
		.event = htole16(event),
		.value = htole16(1),
	};
	size_t len = sizeof(message), name_len = strlen(port->name);

	if (event == VIRTIO_CONSOLE_PORT_OPEN)
		message.value = htole16(console_port_is_open(port));
	memcpy(bytes, &message, sizeof(message));
	if (event == VIRTIO_CONSOLE_PORT_NAME && name_len < room - len) {
		memcpy(bytes + len, port->name, name_len);
		len += name_len;
	}
	return len;
}

/* -EAGAIN without a buffer. */
static int send_one(struct virtio_console *console, struct console_port *port, uint8_t event)
{
	struct virtqueue *vq = &console->model.vdev.queues[QUEUE_CONTROL_RX];
	struct virtq_chain chain = {
		.iov = console->control_iov,
		.iov_max = sizeof(console->control_iov) / sizeof(console->control_iov[0]),
	};
	uint8_t bytes[sizeof(struct virtio_console_control) + 256];
	size_t len = make_message(port, event, bytes, sizeof(bytes));
	int ret = virtqueue_pop(vq, &chain);

	if (ret == 0 && virtqueue_enable_kicks(vq))
		ret = virtqueue_pop(vq, &chain);
	if (ret <= 0)
		return ret < 0 ? ret : -EAGAIN;
	len = memory_iov_write(virtq_in(&chain), chain.n_in, 0, bytes, len);
	virtqueue_push(vq, chain.head, (uint32_t)len);
	/* Said only where there was room; else with the next buffer. */
	if (!chain.left_out)
		port->pending &= (uint8_t) ~(1u << event);
	return 0;
}

static void send_pending(struct virtio_console *console)
{
	struct virtio_device *vdev = &console->model.vdev;
	int ret = 0;

	if (!vdev->running || !speaks_multiport(console))
		return;
	for (size_t i = 0; i < console->n_ports && ret == 0; i++) {
		struct console_port *port = &console->ports[i];

		for (size_t k = 0; k < sizeof(control_order) && ret == 0; k++)
			if (port->pending & 1u << control_order[k])
				ret = send_one(console, port, control_order[k]);
	}
	virtqueue_notify(&vdev->queues[QUEUE_CONTROL_RX]);
	if (vdev->queues[QUEUE_CONTROL_RX].broken)
		virtio_device_fail(vdev, vdev->queues[QUEUE_CONTROL_RX].broken_why);
}

void console_host_opened(struct console_port *port)
{
	if (!port->guest_ready)
		return;
	port->pending |= 1u << VIRTIO_CONSOLE_PORT_OPEN;
	send_pending(port->console);
}

/* ---- control messages from the guest ---- */

static struct console_port *find_port(struct virtio_console *console, uint32_t id)
{
	for (size_t i = 0; i < console->n_ports; i++)
		if (console->ports[i].id == id)
			return &console->ports[i];
	return NULL;
}

static void take_message(struct virtio_console *console,
			 const struct virtio_console_control *message)
{
	struct console_port *port = find_port(console, le32toh(message->id));
	uint16_t event = le16toh(message->event);
	bool value = message->value != 0;

	if (event == VIRTIO_CONSOLE_DEVICE_READY) {
		for (size_t i = 0; value && i < console->n_ports; i++)
			console->ports[i].pending = 1u << VIRTIO_CONSOLE_PORT_ADD;
	} else if (event == VIRTIO_CONSOLE_PORT_READY && port) {
		port->guest_ready = value;
		if (value)
			port->pending |= 1u << VIRTIO_CONSOLE_PORT_NAME |
					 1u << VIRTIO_CONSOLE_PORT_OPEN;
	} else if (event == VIRTIO_CONSOLE_PORT_OPEN && port) {
		console_port_guest_opened(port, value);
	} else {
		log_ratelimited(&console->log_limit, LOG_LEVEL_WARN,
				"%s: control message %u for port %u ignored",
				console->model.device.name, event, le32toh(message->id));
	}
}

static void kick_control(struct virtio_console *console, struct virtqueue *vq)
{
	struct virtq_chain chain = {
		.iov = console->control_iov,
		.iov_max = sizeof(console->control_iov) / sizeof(console->control_iov[0]),
	};
	unsigned int served = 0;
	int ret = 0;

	do {
		virtqueue_disable_kicks(vq);
		while (served < CONTROL_BATCH && (ret = virtqueue_pop(vq, &chain)) > 0) {
			struct virtio_console_control message;

			if (memory_iov_read(virtq_out(&chain), chain.n_out, 0, &message,
					    sizeof(message)) == sizeof(message))
				take_message(console, &message);
			virtqueue_push(vq, chain.head, 0);
			served++;
		}
	} while (ret == 0 && virtqueue_enable_kicks(vq));
	if (served == CONTROL_BATCH)
		virtqueue_kick(vq);
	virtqueue_notify(vq);
	send_pending(console);
}

/* ---- the device ---- */

static uint64_t console_features(struct virtio_device *vdev)
{
	if (console_of(vdev)->multiport)
		return 1ull << VIRTIO_CONSOLE_F_MULTIPORT;
	return 1ull << VIRTIO_CONSOLE_F_SIZE | 1ull << VIRTIO_CONSOLE_F_EMERG_WRITE;
}

static void console_config_read(struct virtio_device *vdev, size_t offset, void *data, size_t len)
{
	struct virtio_console *console = console_of(vdev);
	uint32_t size = __atomic_load_n(&console->size, __ATOMIC_RELAXED);
	struct virtio_console_config config = {
		.cols = htole16((uint16_t)size),
		.rows = htole16((uint16_t)(size >> 16)),
		/* Ids 1 to n_ports; 0 is the port that this device has no back end for. */
		.max_nr_ports = htole32(console->multiport ? (uint32_t)console->n_ports + 1 : 1),
	};

	if (offset < sizeof(config))
		memcpy(data, (const uint8_t *)&config + offset,
		       len < sizeof(config) - offset ? len : sizeof(config) - offset);
}

static void console_config_written(struct virtio_device *vdev, size_t offset, const void *data,
				   size_t len)
{
	struct virtio_console *console = console_of(vdev);

	(void)len;
	if (!console->multiport && offset == offsetof(struct virtio_console_config, emerg_wr))
		console_port_emergency(&console->ports[0], *(const uint8_t *)data);
}

static int console_start(struct virtio_device *vdev)
{
	(void)vdev;
	return 0;
}

static void console_stop(struct virtio_device *vdev)
{
	struct virtio_console *console = console_of(vdev);

	for (size_t i = 0; i < console->n_ports; i++)
		console_port_pause(&console->ports[i]);
}

static void console_reset(struct virtio_device *vdev)
{
	struct virtio_console *console = console_of(vdev);

	for (size_t i = 0; i < console->n_ports; i++)
		console_port_reset(&console->ports[i]);
}

/* Port 0 of a device with named ports has queues and no back end: what comes is dropped. */
static void drop_chains(struct virtio_console *console, struct virtqueue *vq)
{
	struct virtq_chain chain = {
		.iov = console->control_iov,
		.iov_max = sizeof(console->control_iov) / sizeof(console->control_iov[0]),
	};

	if (vq->index == QUEUE_RX0)
		return;
	for (unsigned int i = 0; i < CONTROL_BATCH && virtqueue_pop(vq, &chain) > 0; i++)
		virtqueue_push(vq, chain.head, 0);
	virtqueue_notify(vq);
	if (virtqueue_enable_kicks(vq))
		virtqueue_kick(vq);
}

static void console_kick(struct virtio_device *vdev, struct virtqueue *vq)
{
	struct virtio_console *console = console_of(vdev);

	if (console->multiport && vq->index == QUEUE_CONTROL_RX) {
		send_pending(console);
		return;
	}
	if (console->multiport && vq->index == QUEUE_CONTROL_TX) {
		kick_control(console, vq);
		return;
	}
	for (size_t i = 0; i < console->n_ports; i++) {
		if (console->ports[i].rx == vq) {
			console_port_kick_rx(&console->ports[i]);
			return;
		}
		if (console->ports[i].tx == vq) {
			console_port_kick_tx(&console->ports[i]);
			return;
		}
	}
	drop_chains(console, vq);
}

static int console_save(struct virtio_device *vdev, struct state *state)
{
	struct virtio_console *console = console_of(vdev);

	state_put_u32(state, (uint32_t)console->n_ports);
	for (size_t i = 0; i < console->n_ports; i++) {
		const struct console_port *port = &console->ports[i];

		state_put_u8(state, port->guest_ready);
		state_put_u8(state, port->guest_open);
		state_put_u8(state, port->pending);
		state_put_u32(state, port->tx_taken);
		state_put_u8(state, (uint8_t)port->status.len);
		state_put_u8(state, port->status.too_long);
		state_put(state, port->status.line, sizeof(port->status.line));
	}
	return state_error(state);
}

static int console_load(struct virtio_device *vdev, struct state *state)
{
	struct virtio_console *console = console_of(vdev);

	if (state_get_u32(state) != console->n_ports)
		return -EBADMSG;
	for (size_t i = 0; i < console->n_ports; i++) {
		struct console_port *port = &console->ports[i];

		port->guest_ready = state_get_u8(state) != 0;
		port->guest_open = state_get_u8(state) != 0;
		/* The host's end may be another one now. */
		port->pending = state_get_u8(state);
		if (port->guest_ready)
			port->pending |= 1u << VIRTIO_CONSOLE_PORT_OPEN;
		port->tx_taken = state_get_u32(state);
		port->status.len = state_get_u8(state);
		port->status.too_long = state_get_u8(state) != 0;
		state_get(state, port->status.line, sizeof(port->status.line));
		if (port->status.len >= sizeof(port->status.line))
			return -EBADMSG;
		console_port_restored(port);
	}
	return state_error(state);
}

static const struct virtio_ops console_ops = {
	.id = VIRTIO_ID_CONSOLE,
	.class_code = CONSOLE_CLASS,
	.features = console_features,
	.config_read = console_config_read,
	.config_written = console_config_written,
	.start = console_start,
	.stop = console_stop,
	.reset = console_reset,
	.kick = console_kick,
	.save = console_save,
	.load = console_load,
};

/* ---- size of the terminal ---- */

struct resize {
	struct virtio_console *console;
	uint32_t size;
};

static void resize_here(void *opaque)
{
	struct resize *resize = opaque;
	uint32_t old = __atomic_exchange_n(&resize->console->size, resize->size, __ATOMIC_RELAXED);

	if (old != resize->size)
		virtio_config_changed(&resize->console->model.vdev);
}

void virtio_console_resize(struct machine *machine, uint16_t cols, uint16_t rows)
{
	for (size_t i = 0; i < machine->n_devices; i++) {
		struct resize resize = { .size = (uint32_t)rows << 16 | cols };

		if (machine->devices[i]->type != &virtio_console_type)
			continue;
		resize.console = (struct virtio_console *)machine->devices[i];
		if (!resize.console->multiport)
			loop_call(machine->loop, resize_here, &resize);
	}
}

static uint32_t terminal_size(void)
{
	struct winsize size = { 0 };

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
		return 0;
	return (uint32_t)size.ws_row << 16 | size.ws_col;
}

/* ---- life ---- */

static bool is_terminal(const struct vm_port *port)
{
	return strcmp(port->name, TERMINAL_PORT) == 0;
}

static size_t count_ports(const struct vm_config *config, bool terminal)
{
	size_t n = 0;

	for (size_t i = 0; i < config->n_ports; i++)
		n += is_terminal(&config->ports[i]) == terminal;
	return n;
}

static size_t console_count(const struct vm_config *config)
{
	return (count_ports(config, true) > 0) + (count_ports(config, false) > 0);
}

static void free_ports(struct virtio_console *console)
{
	for (size_t i = 0; i < console->n_ports; i++)
		console_port_close(&console->ports[i]);
	free(console->ports);
	console->ports = NULL;
	console->n_ports = 0;
}

static int open_ports(struct virtio_console *console)
{
	const struct vm_config *config = console->model.device.machine->config;
	struct virtqueue *queues = console->model.vdev.queues;

	for (size_t i = 0; i < config->n_ports; i++) {
		struct console_port *port = &console->ports[console->n_ports];
		unsigned int first = QUEUE_RX1 + 2 * (unsigned int)console->n_ports;
		int ret;

		if (is_terminal(&config->ports[i]) == console->multiport)
			continue;
		if (!console->multiport)
			first = QUEUE_RX0;
		port->console = console;
		port->id = console->multiport ? (uint32_t)console->n_ports + 1 : 0;
		port->name = config->ports[i].name;
		port->rx = &queues[first];
		port->tx = &queues[first + 1];
		console_port_reset(port);
		ret = console_port_open(port, config->ports[i].backend);
		if (ret < 0)
			return ret;
		console->n_ports++;
		if (!console->multiport && strcmp(config->ports[i].backend, "stdio") == 0)
			console->size = terminal_size();
	}
	return 0;
}

static int console_create(struct device *device)
{
	struct virtio_console *console = (struct virtio_console *)device;
	const struct vm_config *config = device->machine->config;
	size_t wanted;
	int ret;

	console->multiport = device->index == 1 || count_ports(config, true) == 0;
	wanted = count_ports(config, !console->multiport);
	if (wanted == 0 || wanted > (console->multiport ? CONSOLE_PORTS_MAX : 1)) {
		log_error("%s: %zu ports configured, at most %d are possible", device->name, wanted,
			  console->multiport ? CONSOLE_PORTS_MAX : 1);
		return -E2BIG;
	}
	console->ports = calloc(wanted, sizeof(*console->ports));
	if (!console->ports) {
		log_error("%s: no memory", device->name);
		return -ENOMEM;
	}
	console->model.vdev.ops = &console_ops;
	console->model.vdev.loop = device->machine->loop;
	console->model.vdev.queue_size = CONSOLE_QUEUE_SIZE;
	console->model.vdev.n_queues = console->multiport ? QUEUE_RX1 + 2 * (unsigned int)wanted
							  : 2;
	ret = open_ports(console);
	if (ret == 0)
		ret = virtio_model_register(&console->model);
	if (ret < 0)
		free_ports(console);
	return ret;
}

static void console_destroy(struct device *device)
{
	virtio_model_destroy(device);
	free_ports((struct virtio_console *)device);
}

const struct device_type virtio_console_type = {
	.name = "virtio-console",
	.help = "terminal and named byte streams",
	.size = sizeof(struct virtio_console),
	.count = console_count,
	.create = console_create,
	.reset = virtio_model_reset,
	.destroy = console_destroy,
	.save = virtio_model_save,
	.load = virtio_model_load,
};
