// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One port of a virtio-console: bytes between its two queues and its back end.
 *
 * Nothing is stored on the way. What the back end does not take stays in the guest's chain, which
 * is held back until there is room, and the guest then waits; what the guest has no buffers for
 * stays with the back end.
 */
#include <stdio.h>
#include <string.h>

#include "host-vmm/chardev.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/machine.h"
#include "host-vmm/memory.h"
#include "host-vmm/virtio/console_private.h"
#include "host-vmm/virtio/console_tools.h"

#define TX_CHUNK 4096u /* bytes copied out at once */
#define TX_BATCH 64u /* chains until other devices have their turn, and */
#define TX_TURN	 (1u << 20) /* bytes: one chain may have 4 GiB */
#define RX_BATCH 256u

static struct virtio_device *vdev_of(struct console_port *port)
{
	return &port->console->model.vdev;
}

static void status_line(void *opaque, enum run_status_word word, int status)
{
	struct console_port *port = opaque;
	struct device *device = &port->console->model.device;

	switch (word) {
	case RUN_STATUS_READY:
		log_debug("%s: the guest's init is ready", device->name);
		break;
	case RUN_STATUS_EXIT:
		machine_set_guest_status(device->machine, status);
		break;
	case RUN_STATUS_MALFORMED:
		log_ratelimited(&port->console->log_limit, LOG_LEVEL_WARN,
				"%s: port %s: malformed line dropped", device->name, port->name);
		break;
	}
}

static size_t give_backend(struct console_port *port, const uint8_t *bytes, size_t len)
{
	if (port->tools)
		return console_tools_take(port->tools, bytes, len);
	if (!port->is_status)
		return chardev_write(port->chardev, bytes, len);
	run_status_feed(&port->status, bytes, len, status_line, port);
	return len;
}

/* True when all of the held chain was taken. *@room: bytes of this turn that are left. */
static bool drain_held(struct console_port *port, size_t *room)
{
	struct virtq_chain *chain = &port->tx_chain;
	uint8_t bytes[TX_CHUNK];

	while (*room > 0 && port->tx_taken < chain->out_len) {
		size_t len = memory_iov_read(virtq_out(chain), chain->n_out, port->tx_taken, bytes,
					     sizeof(bytes));
		size_t taken = give_backend(port, bytes, len);

		port->tx_taken += (uint32_t)taken;
		*room -= taken < *room ? taken : *room;
		if (taken < len)
			return false;
	}
	return port->tx_taken >= chain->out_len;
}

static bool pop_held(struct console_port *port, int *ret_result)
{
	*ret_result = virtqueue_pop(port->tx, &port->tx_chain);
	if (*ret_result <= 0)
		return false;
	port->tx_held = true;
	return true;
}

void console_port_kick_tx(struct console_port *port)
{
	struct virtqueue *vq = port->tx;
	unsigned int served = 0;
	size_t room = TX_TURN;
	int ret = 0;

	do {
		virtqueue_disable_kicks(vq);
		while (port->tx_held || pop_held(port, &ret)) {
			if (!drain_held(port, &room)) {
				/* Else the back end says when to go on. */
				if (room == 0)
					virtqueue_kick(vq);
				goto out;
			}
			port->tx_held = false;
			port->tx_taken = 0;
			virtqueue_push(vq, port->tx_chain.head, 0);
			if (++served == TX_BATCH) {
				virtqueue_kick(vq);
				goto out;
			}
		}
	} while (ret == 0 && virtqueue_enable_kicks(vq));
out:
	virtqueue_notify(vq);
}

size_t console_port_give(struct console_port *port, const uint8_t *bytes, size_t len)
{
	struct virtq_chain chain = { .iov = port->rx_iov, .iov_max = CONSOLE_IOV_MAX };
	size_t taken = 0;
	unsigned int served = 0;
	int ret;

	/* Ports that the guest has not opened keep their bytes; opening resumes. */
	if (!vdev_of(port)->running || !port->guest_open)
		return 0;
	while (taken < len) {
		size_t put;

		/* Chains without room would keep us here for ever. */
		if (served++ == RX_BATCH) {
			virtqueue_kick(port->rx);
			break;
		}
		ret = virtqueue_pop(port->rx, &chain);
		if (ret == 0 && virtqueue_enable_kicks(port->rx))
			continue;
		if (ret <= 0)
			break;
		put = memory_iov_write(virtq_in(&chain), chain.n_in, 0, bytes + taken, len - taken);
		virtqueue_push(port->rx, chain.head, (uint32_t)put);
		taken += put;
	}
	virtqueue_notify(port->rx);
	if (port->rx->broken)
		virtio_device_fail(vdev_of(port), port->rx->broken_why);
	return taken;
}

static size_t received(void *opaque, const uint8_t *bytes, size_t len)
{
	return console_port_give(opaque, bytes, len);
}

static void writable(void *opaque)
{
	struct console_port *port = opaque;

	if (!vdev_of(port)->running || !port->tx_held)
		return;
	console_port_kick_tx(port);
	if (port->tx->broken)
		virtio_device_fail(vdev_of(port), port->tx->broken_why);
}

void console_port_kick_rx(struct console_port *port)
{
	/* Buffers came; while none are missing, no kick is needed for more. */
	virtqueue_disable_kicks(port->rx);
	if (port->tools) {
		console_tools_pump(port->tools);
		if (!console_tools_is_full(port->tools))
			writable(port);
	} else if (port->chardev && port->guest_open) {
		chardev_resume(port->chardev);
	}
}

static void opened(void *opaque, bool open)
{
	(void)open;
	console_host_opened(opaque);
}

static const struct chardev_events port_events = {
	.received = received,
	.writable = writable,
	.opened = opened,
};

int console_port_open(struct console_port *port, const char *backend)
{
	struct machine *machine = port->console->model.device.machine;

	port->tx_chain = (struct virtq_chain){ .iov = port->tx_iov, .iov_max = CONSOLE_IOV_MAX };
	port->is_status = strcmp(backend, "run-status") == 0;
	if (port->is_status)
		return 0;
	if (strcmp(backend, "tools") == 0)
		return console_tools_create(port, &port->tools);
	snprintf(port->label, sizeof(port->label), "port %.70s", port->name);
	return chardev_create(port->label, backend, machine->config->dir, machine->loop,
			      &port_events, port, &port->chardev);
}

void console_port_close(struct console_port *port)
{
	chardev_destroy(port->chardev);
	port->chardev = NULL;
	console_tools_destroy(port->tools);
	port->tools = NULL;
}

void console_port_pause(struct console_port *port)
{
	/* The held chain is popped again, and tx_taken says what is gone of it. */
	if (port->tx_held)
		virtqueue_unpop(port->tx);
	port->tx_held = false;
}

void console_port_reset(struct console_port *port)
{
	port->guest_ready = false;
	port->guest_open = !port->console->multiport;
	port->pending = 0;
	port->tx_held = false;
	port->tx_taken = 0;
	port->status = (struct run_status){ 0 };
	if (port->tools)
		console_tools_reset(port->tools);
}

/* What it wrote before is of a stream that is no more. It waits for us to have heard of the new
 * one before it writes more: Linux does so since there are ports. */
static void drop_written(struct console_port *port)
{
	unsigned int dropped = 0;
	int ret;

	if (port->tx_held)
		virtqueue_push(port->tx, port->tx_chain.head, 0);
	port->tx_held = false;
	port->tx_taken = 0;
	while (dropped++ < port->tx->size && pop_held(port, &ret)) {
		port->tx_held = false;
		virtqueue_push(port->tx, port->tx_chain.head, 0);
	}
	virtqueue_notify(port->tx);
}

void console_port_guest_opened(struct console_port *port, bool open)
{
	port->guest_open = open;
	if (port->tools && port->tx->enabled) {
		drop_written(port);
		console_tools_guest_opened(port->tools, open);
	}
	if (!open)
		port->status = (struct run_status){ 0 };
	else if (port->rx->enabled)
		console_port_kick_rx(port);
}

void console_port_restored(struct console_port *port)
{
	if (port->tools)
		console_tools_restored(port->tools);
}

bool console_port_is_open(struct console_port *port)
{
	if (port->tools)
		return console_tools_is_open(port->tools);
	return port->is_status || chardev_is_open(port->chardev);
}

void console_port_emergency(struct console_port *port, uint8_t byte)
{
	(void)give_backend(port, &byte, 1);
}
