/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-console: the guest's terminal hvc0, and named byte streams.
 */
#ifndef LODGE_VMM_VIRTIO_CONSOLE_H
#define LODGE_VMM_VIRTIO_CONSOLE_H

#include <stdint.h>

struct machine;

/* The terminal behind port "console" has a new size, in characters. Any thread but a device's loop
 * that waits for this one; nothing happens without such a port. */
void virtio_console_resize(struct machine *machine, uint16_t cols, uint16_t rows);

#endif
