/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk in a rig, for tests of virtio-blk: an image of DISK bytes, its device, a driver with one
 * queue, and requests one at a time. What fails, fails the test.
 */
#ifndef LODGE_TESTS_UNIT_VIRTIO_BLK_RIG_H
#define LODGE_TESTS_UNIT_VIRTIO_BLK_RIG_H

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "host-vmm/virtio/virtio.h"
#include "tests/unit/virtio_rig.h"

/* Where things lie in the guest's memory. */
#define RING	0x100000ull
#define HEADER	0x1f0000ull
#define STATUS	0x1f8000ull
#define DATA	0x200000ull
#define SIZE	256
#define DISK	(4u << 20)
#define SECTORS (DISK / 512)
#define FEATURES                                                                             \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_MQ | \
	 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_RING_F_EVENT_IDX)

extern struct rig rig;
extern struct vm_disk disk; /* what is set before open_disk() stays: read_only, direct */
extern struct device *device;
extern struct rig_driver driver;
extern struct rig_ring ring;
extern char path[64]; /* the image's */
extern int image_fd;

/* A folder on a disk, or (odd numbers) in memory; containers may have a /dev/shm that is small or
 * closed, and then both are on a disk. */
const char *folder_of(int where);
void make_image(const char *folder);
/* An image there, and its device with a driver that takes FEATURES. */
void open_disk(int where);
void close_disk(void);
/* Resets the device and begins again. */
void bring_up(uint64_t features);

void put_header(uint64_t address, uint32_t type, uint64_t sector);
/* Kicks the queue and waits: the status of the request that is in it. */
uint8_t wait_status(void);
/* Header, one data buffer (or none), status: the status that came back. */
uint8_t request(uint32_t type, uint64_t sector, uint64_t data, uint32_t len, bool in);
/* Discard or write-zeroes. */
uint8_t range(uint32_t type, uint64_t sector, uint32_t count, uint32_t flags);

void pattern(uint8_t *bytes, size_t len, unsigned int seed);
/* Fails the test unless the image has these bytes. */
void check_image(off_t offset, const uint8_t *bytes, size_t len);

#endif
