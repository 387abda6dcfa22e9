// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A 16550A serial port on a character back end. Source: National Semiconductor PC16550D data sheet.
 *
 * Theory of operation: output goes to a ring and the transmitter looks empty at once, so a guest
 * writes a FIFO full without waiting. The ring is flushed when it is half full, or FLUSH_NS after
 * its first byte, so that a line is one write(2) and not eighty. While the back end takes nothing
 * and the ring is full, the transmitter looks busy: that bounds memory, and slows only the guest.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "host-vmm/bus.h"
#include "host-vmm/chardev.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/device.h"
#include "host-vmm/devices/legacy.h"
#include "host-vmm/irq.h"
#include "host-vmm/layout.h"
#include "host-vmm/loop.h"
#include "host-vmm/machine.h"
#include "host-vmm/state.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

#define SERIAL_PORTS 8u
#define FIFO_SIZE    16u
#define RING_SIZE    2048u
#define FLUSH_NS     1000000 /* 1 ms */

/* Registers, by offset; those at 0 and 1 are the divisor while LCR_DLAB is set. */
#define REG_DATA 0u
#define REG_IER	 1u
#define REG_IIR	 2u /* written: FCR */
#define REG_LCR	 3u
#define REG_MCR	 4u
#define REG_LSR	 5u
#define REG_MSR	 6u
#define REG_SCR	 7u

#define IER_RX	     0x01u
#define IER_TX	     0x02u
#define IER_LINE     0x04u
#define IER_MODEM    0x08u
#define IIR_NONE     0x01u
#define IIR_MODEM    0x00u
#define IIR_TX	     0x02u
#define IIR_RX	     0x04u
#define IIR_LINE     0x06u
#define IIR_TIMEOUT  0x0cu
#define IIR_FIFO     0xc0u
#define FCR_ENABLE   0x01u
#define FCR_CLEAR_RX 0x02u
#define FCR_CLEAR_TX 0x04u
#define LCR_DLAB     0x80u
#define MCR_OUT2     0x08u /* lets the interrupt out of the chip on PCs */
#define MCR_LOOP     0x10u
#define LSR_DATA     0x01u
#define LSR_OVERRUN  0x02u
#define LSR_THRE     0x20u
#define LSR_TEMT     0x40u
#define MSR_DCTS     0x01u
#define MSR_LINES    0xb0u /* CTS, DSR, DCD: somebody is there */

#define STATE_VERSION 1

struct serial {
	struct device device;
	struct io_region region;
	struct chardev *chardev;
	struct loop_source *timer_source;
	int timer_fd;

	pthread_mutex_t lock; /* what follows */
	uint8_t ier, fcr, lcr, mcr, scr;
	uint16_t divisor;
	bool overrun, tx_pending; /* tx_pending: THRE interrupt not yet read */
	uint8_t rx[FIFO_SIZE];
	unsigned int rx_head, rx_len;
	uint8_t ring[RING_SIZE];
	unsigned int ring_head, ring_len;
	bool timer_armed, line;
};

/* Under lock. What IIR says, by priority. */
static unsigned int pending(const struct serial *serial)
{
	if ((serial->ier & IER_LINE) && serial->overrun)
		return IIR_LINE;
	if ((serial->ier & IER_RX) && serial->rx_len > 0)
		return serial->fcr & FCR_ENABLE ? IIR_TIMEOUT : IIR_RX;
	if ((serial->ier & IER_TX) && serial->tx_pending)
		return IIR_TX;
	return IIR_NONE;
}

static void update_irq(struct serial *serial)
{
	bool high = pending(serial) != IIR_NONE && (serial->mcr & MCR_OUT2);

	if (high == serial->line)
		return;
	serial->line = high;
	irq_set_line(serial->device.machine->irq, LAYOUT_IRQ_SERIAL, high);
}

/* Under lock: as much as the back end takes. */
static void flush(struct serial *serial)
{
	bool was_full = serial->ring_len == RING_SIZE;

	while (serial->ring_len > 0) {
		unsigned int part = RING_SIZE - serial->ring_head;
		size_t taken;

		if (part > serial->ring_len)
			part = serial->ring_len;
		taken = chardev_write(serial->chardev, serial->ring + serial->ring_head, part);
		serial->ring_head = (serial->ring_head + taken) % RING_SIZE;
		serial->ring_len -= taken;
		if (taken < part)
			break;
	}
	if (was_full && serial->ring_len < RING_SIZE) {
		serial->tx_pending = true;
		update_irq(serial);
	}
}

static void arm_timer(struct serial *serial)
{
	const struct itimerspec soon = { .it_value.tv_nsec = FLUSH_NS };

	if (serial->timer_armed)
		return;
	serial->timer_armed = true;
	(void)timerfd_settime(serial->timer_fd, 0, &soon, NULL);
}

static void on_timer(void *opaque, uint32_t epoll_events)
{
	struct serial *serial = opaque;
	uint64_t count;

	(void)epoll_events;
	(void)!read(serial->timer_fd, &count, sizeof(count));
	pthread_mutex_lock(&serial->lock);
	serial->timer_armed = false;
	flush(serial);
	pthread_mutex_unlock(&serial->lock);
}

static void receive(struct serial *serial, uint8_t byte)
{
	if (serial->rx_len == FIFO_SIZE) {
		serial->overrun = true;
		return;
	}
	serial->rx[(serial->rx_head + serial->rx_len++) % FIFO_SIZE] = byte;
}

static void transmit(struct serial *serial, uint8_t byte)
{
	serial->tx_pending = false;
	if (serial->mcr & MCR_LOOP) {
		receive(serial, byte);
		serial->tx_pending = true;
		return;
	}
	if (serial->ring_len == RING_SIZE)
		flush(serial);
	/* A guest that does not look whether there is room loses the byte, as on a real one. */
	if (serial->ring_len < RING_SIZE)
		serial->ring[(serial->ring_head + serial->ring_len++) % RING_SIZE] = byte;
	if (serial->ring_len >= RING_SIZE / 2)
		flush(serial);
	else
		arm_timer(serial);
	serial->tx_pending = serial->ring_len < RING_SIZE;
}

static uint8_t read_data(struct serial *serial)
{
	uint8_t byte = 0;

	if (serial->rx_len > 0) {
		byte = serial->rx[serial->rx_head];
		serial->rx_head = (serial->rx_head + 1) % FIFO_SIZE;
		serial->rx_len--;
	}
	if (serial->rx_len == 0 && !(serial->mcr & MCR_LOOP))
		chardev_resume(serial->chardev);
	return byte;
}

static uint8_t read_iir(struct serial *serial)
{
	uint8_t id = pending(serial);

	if (id == IIR_TX)
		serial->tx_pending = false;
	return id | (serial->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct serial *serial)
{
	uint8_t value = 0;

	if (serial->rx_len > 0)
		value |= LSR_DATA;
	if (serial->overrun)
		value |= LSR_OVERRUN;
	if (serial->ring_len < RING_SIZE)
		value |= LSR_THRE | LSR_TEMT;
	serial->overrun = false;
	return value;
}

static uint8_t read_msr(const struct serial *serial)
{
	if (!(serial->mcr & MCR_LOOP))
		return MSR_LINES;
	/* Looped back: DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD. */
	return (serial->mcr & 0x01) << 5 | (serial->mcr & 0x02) << 3 | (serial->mcr & 0x0c) << 4;
}

static uint64_t serial_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct serial *serial = opaque;
	bool dlab;
	uint8_t value = 0;

	/* The chip is eight bits wide. */
	if (size != 1)
		return UINT64_MAX;
	pthread_mutex_lock(&serial->lock);
	dlab = serial->lcr & LCR_DLAB;
	switch (offset) {
	case REG_DATA:
		value = dlab ? serial->divisor & 0xff : read_data(serial);
		break;
	case REG_IER:
		value = dlab ? serial->divisor >> 8 : serial->ier;
		break;
	case REG_IIR:
		value = read_iir(serial);
		break;
	case REG_LCR:
		value = serial->lcr;
		break;
	case REG_MCR:
		value = serial->mcr;
		break;
	case REG_LSR:
		value = read_lsr(serial);
		break;
	case REG_MSR:
		value = read_msr(serial);
		break;
	case REG_SCR:
		value = serial->scr;
		break;
	}
	update_irq(serial);
	pthread_mutex_unlock(&serial->lock);
	return value;
}

static void write_ier(struct serial *serial, uint8_t value)
{
	bool tx_on = (value & IER_TX) && !(serial->ier & IER_TX);

	serial->ier = value & 0x0f;
	/* Switched on while the transmitter is empty, it interrupts at once. */
	if (tx_on && serial->ring_len < RING_SIZE)
		serial->tx_pending = true;
}

static void write_fcr(struct serial *serial, uint8_t value)
{
	if ((value & FCR_CLEAR_RX) || ((value ^ serial->fcr) & FCR_ENABLE)) {
		serial->rx_len = 0;
		chardev_resume(serial->chardev);
	}
	serial->fcr = value & 0xc9;
}

static void serial_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct serial *serial = opaque;
	bool dlab;

	if (size != 1)
		return;
	pthread_mutex_lock(&serial->lock);
	dlab = serial->lcr & LCR_DLAB;
	switch (offset) {
	case REG_DATA:
		if (dlab)
			serial->divisor = (serial->divisor & 0xff00) | value;
		else
			transmit(serial, value);
		break;
	case REG_IER:
		if (dlab)
			serial->divisor = (serial->divisor & 0x00ff) | value << 8;
		else
			write_ier(serial, value);
		break;
	case REG_IIR:
		write_fcr(serial, value);
		break;
	case REG_LCR:
		serial->lcr = value;
		break;
	case REG_MCR:
		serial->mcr = value & 0x1f;
		break;
	case REG_SCR:
		serial->scr = value;
		break;
	}
	update_irq(serial);
	pthread_mutex_unlock(&serial->lock);
}

static const struct io_ops serial_ops = { .read = serial_read, .write = serial_write };

static size_t on_received(void *opaque, const uint8_t *bytes, size_t len)
{
	struct serial *serial = opaque;
	size_t taken = 0;

	pthread_mutex_lock(&serial->lock);
	if (!(serial->mcr & MCR_LOOP))
		while (taken < len && serial->rx_len < FIFO_SIZE)
			receive(serial, bytes[taken++]);
	update_irq(serial);
	pthread_mutex_unlock(&serial->lock);
	return taken;
}

static void on_writable(void *opaque)
{
	struct serial *serial = opaque;

	pthread_mutex_lock(&serial->lock);
	flush(serial);
	pthread_mutex_unlock(&serial->lock);
}

static const struct chardev_events serial_events = {
	.received = on_received,
	.writable = on_writable,
};

/* All but what is on its way to the back end. Under lock, or before anybody else knows it. */
static void power_on(struct serial *serial)
{
	serial->ier = serial->fcr = serial->lcr = serial->mcr = serial->scr = 0;
	serial->divisor = 12; /* 9600 baud */
	serial->overrun = serial->tx_pending = false;
	serial->rx_head = serial->rx_len = 0;
}

static int serial_create(struct device *device)
{
	struct serial *serial = (struct serial *)device;
	struct machine *machine = device->machine;
	int ret;

	pthread_mutex_init(&serial->lock, NULL);
	power_on(serial);
	serial->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (serial->timer_fd < 0) {
		ret = -errno;
		log_error("%s: no timer: %s", device->name, strerror(-ret));
		goto fail_lock;
	}
	ret = chardev_create("serial", machine->config->serial, machine->config->dir, machine->loop,
			     &serial_events, serial, &serial->chardev);
	if (ret < 0)
		goto fail_timer;
	ret = loop_add(machine->loop, serial->timer_fd, EPOLLIN, on_timer, serial,
		       &serial->timer_source);
	if (ret < 0) {
		log_error("%s: no timer: %s", device->name, strerror(-ret));
		goto fail_chardev;
	}
	serial->region = (struct io_region){
		.name = device->name,
		.size = SERIAL_PORTS,
		.ops = &serial_ops,
		.opaque = serial,
	};
	ret = bus_claim(machine->ports, &serial->region, LAYOUT_PORT_SERIAL);
	if (ret < 0) {
		log_error("%s: its ports are taken", device->name);
		goto fail_source;
	}
	chardev_resume(serial->chardev);
	return 0;

fail_source:
	loop_remove(serial->timer_source);
fail_chardev:
	chardev_destroy(serial->chardev);
fail_timer:
	close(serial->timer_fd);
fail_lock:
	pthread_mutex_destroy(&serial->lock);
	return ret;
}

static void serial_reset(struct device *device)
{
	struct serial *serial = (struct serial *)device;

	pthread_mutex_lock(&serial->lock);
	flush(serial);
	power_on(serial);
	update_irq(serial);
	pthread_mutex_unlock(&serial->lock);
	chardev_resume(serial->chardev);
}

static void serial_destroy(struct device *device)
{
	struct serial *serial = (struct serial *)device;

	bus_release(device->machine->ports, &serial->region);
	loop_remove(serial->timer_source);
	pthread_mutex_lock(&serial->lock);
	flush(serial);
	pthread_mutex_unlock(&serial->lock);
	chardev_destroy(serial->chardev);
	close(serial->timer_fd);
	pthread_mutex_destroy(&serial->lock);
}

static int serial_save(struct device *device, struct state *state)
{
	struct serial *serial = (struct serial *)device;

	pthread_mutex_lock(&serial->lock);
	flush(serial);
	state_put_u8(state, STATE_VERSION);
	state_put_u8(state, serial->ier);
	state_put_u8(state, serial->fcr);
	state_put_u8(state, serial->lcr);
	state_put_u8(state, serial->mcr);
	state_put_u8(state, serial->scr);
	state_put_u16(state, serial->divisor);
	state_put_u8(state, serial->overrun);
	state_put_u8(state, serial->tx_pending);
	state_put_u8(state, serial->rx_len);
	for (unsigned int i = 0; i < serial->rx_len; i++)
		state_put_u8(state, serial->rx[(serial->rx_head + i) % FIFO_SIZE]);
	pthread_mutex_unlock(&serial->lock);
	return state_error(state);
}

static int serial_load(struct device *device, struct state *state)
{
	struct serial *serial = (struct serial *)device;
	unsigned int rx_len;
	int ret = 0;

	pthread_mutex_lock(&serial->lock);
	power_on(serial);
	if (state_get_u8(state) != STATE_VERSION)
		ret = -EBADMSG;
	serial->ier = state_get_u8(state) & 0x0f;
	serial->fcr = state_get_u8(state) & 0xc9;
	serial->lcr = state_get_u8(state);
	serial->mcr = state_get_u8(state) & 0x1f;
	serial->scr = state_get_u8(state);
	serial->divisor = state_get_u16(state);
	serial->overrun = state_get_u8(state) != 0;
	serial->tx_pending = state_get_u8(state) != 0;
	rx_len = state_get_u8(state);
	if (rx_len > FIFO_SIZE)
		ret = -EBADMSG;
	for (unsigned int i = 0; i < rx_len && ret == 0; i++)
		receive(serial, state_get_u8(state));
	if (state_error(state) < 0)
		ret = state_error(state);
	if (ret < 0)
		power_on(serial);
	update_irq(serial);
	pthread_mutex_unlock(&serial->lock);
	return ret;
}

static size_t serial_count(const struct vm_config *config)
{
	return config->serial && strcmp(config->serial, "none") != 0;
}

const struct device_type serial_type = {
	.name = "serial",
	.help = "16550A serial port COM1 ([serial] backend)",
	.size = sizeof(struct serial),
	.count = serial_count,
	.create = serial_create,
	.reset = serial_reset,
	.destroy = serial_destroy,
	.save = serial_save,
	.load = serial_load,
};
