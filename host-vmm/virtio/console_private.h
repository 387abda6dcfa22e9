/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the console's two files share: console.c is the device and its control queues,
 * console_port.c moves the bytes of one port.
 *
 * Locking: everything is the machine's loop's, except where said.
 */
#ifndef LODGE_VMM_CONSOLE_PRIVATE_H
#define LODGE_VMM_CONSOLE_PRIVATE_H

#include "host-vmm/virtio/run_status.h"
#include "host-vmm/virtio/virtio.h"
#include "protocol/lib/log.h"

#define CONSOLE_QUEUE_SIZE 128
#define CONSOLE_IOV_MAX	   256 /* a guest may splice as many pages in one indirect chain */
/* Ports of one device beside port 0: two queues for each, and four that are always there. */
#define CONSOLE_PORTS_MAX ((VIRTIO_QUEUES_MAX - 4) / 2)

struct virtio_console;
struct chardev;
struct console_tools;

struct console_port {
	struct virtio_console *console;
	uint32_t id; /* in control messages */
	const char *name; /* vm.conf's */
	char label[80]; /* for the back end's messages */
	struct virtqueue *rx, *tx; /* to the guest, from the guest */
	/* One of the three: */
	struct chardev *chardev;
	struct console_tools *tools;
	bool is_status;
	struct run_status status;

	bool guest_ready, guest_open; /* as the guest said */
	uint8_t pending; /* 1 << VIRTIO_CONSOLE_*: control messages that wait for a buffer */

	/* The chain that is being given to the back end, and how much of it was taken. The count
	 * outlives a pause, in which the chain goes back to the ring. */
	bool tx_held;
	uint32_t tx_taken; /* bytes */
	struct virtq_chain tx_chain;
	struct iovec tx_iov[CONSOLE_IOV_MAX];
	struct iovec rx_iov[CONSOLE_IOV_MAX];
};

struct virtio_console {
	struct virtio_model model;
	bool multiport; /* this device has named ports; else it is the terminal */
	struct log_ratelimit log_limit;
	uint32_t size; /* atomic: columns in the low half, rows in the high */
	struct iovec control_iov[8];
	size_t n_ports;
	struct console_port *ports;
};

/* Opens the back end; logs on failure. */
int console_port_open(struct console_port *port, const char *backend);
void console_port_close(struct console_port *port);
/* Nothing of the guest's is held afterwards. */
void console_port_pause(struct console_port *port);
/* Power-on state. */
void console_port_reset(struct console_port *port);
/* The doorbells of its queues rang. */
void console_port_kick_tx(struct console_port *port);
void console_port_kick_rx(struct console_port *port);
/* Bytes for the guest: how many its buffers took. */
size_t console_port_give(struct console_port *port, const uint8_t *bytes, size_t len);
/* The guest opened or closed its end. */
void console_port_guest_opened(struct console_port *port, bool open);
/* The machine goes on from a saved state. */
void console_port_restored(struct console_port *port);
/* Whether somebody is at the host's end. */
bool console_port_is_open(struct console_port *port);
/* An emergency write: one byte, no queue. */
void console_port_emergency(struct console_port *port, uint8_t byte);

/* console.c: the host's end opened or closed. */
void console_host_opened(struct console_port *port);

#endif
