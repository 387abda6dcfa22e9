/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pump: threads that move messages between the kernel's FUSE (a descriptor of /dev/fuse) and
 * the device.
 *
 * A thread takes a request, gives it to the device in a slot of its own, waits for the reply and
 * gives that to the kernel. When all threads are busy another is started, up to the number of
 * slots. Requests without a reply, and those that may wait for ever, go to the device by write(2)
 * instead; one more thread brings the replies of the latter back.
 */
#ifndef LODGE_MOUNT_PUMP_H
#define LODGE_MOUNT_PUMP_H

#include <stdint.h>

#include <lodge/fs_device.h>

struct pump;

/* The device: /dev/lodge-fs/TAG, or what a test makes of it. */
struct pump_device {
	int fd; /* small messages: read(2), write(2), poll(2) */
	void *opaque;

	/* Slot @slot's memory, @size bytes; never given back. Negative errno. */
	int (*map)(void *opaque, uint32_t slot, uint32_t size, uint8_t **ret_memory);
	/* As LODGE_FS_EXCHANGE: 0 or a negative errno. */
	int (*exchange)(void *opaque, struct lodge_fs_exchange *exchange);
};

struct pump_config {
	int fuse_fd; /* borrowed */
	/* Another descriptor of the same connection for a thread of its own, or a negative errno:
	 * then all share fuse_fd. NULL: the same. */
	int (*clone)(int fuse_fd);
	struct pump_device device;
	uint32_t slots; /* threads at most */
	uint32_t slot_size; /* bytes: LODGE_FS_SLOT_UNIT more than the data of a request */
};

/* Starts the first threads. Negative errno: nothing runs. */
int pump_start(const struct pump_config *config, struct pump **ret_pump);
/* Readable when the pump has ended by itself. */
int pump_over_fd(const struct pump *pump);
/* Why: 0, the file system was unmounted; else the device's error, a negative errno. */
int pump_result(const struct pump *pump);
/* Waits for all threads, which end when read(2) of the FUSE descriptor says so. */
void pump_destroy(struct pump *pump);

#endif
