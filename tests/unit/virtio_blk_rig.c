// SPDX-License-Identifier: GPL-2.0-or-later
// A disk in a rig: an image, its device, a driver with one queue, and requests one at a time.
#include "tests/unit/virtio_blk_rig.h"

#include <check.h>
#include <endian.h>
#include <linux/virtio_blk.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "host-vmm/memory.h"
#include "host-vmm/virtio/models.h"

static const char *const folders[] = { "/var/tmp", "/dev/shm" };

struct rig rig;
struct vm_disk disk;
struct device *device;
struct rig_driver driver;
struct rig_ring ring;
char path[64];
int image_fd;

void bring_up(uint64_t features)
{
	rig_probe(&rig, 1, &driver);
	ck_assert(rig_negotiate(&driver, features & rig_offered(&driver)));
	rig_queue(&ring, &driver, 0, RING, SIZE);
	rig_driver_ok(&driver);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
}

const char *folder_of(int where)
{
	struct statvfs room;
	bool fits = !access(folders[where & 1], W_OK) && !statvfs(folders[where & 1], &room) &&
		    room.f_bavail * room.f_frsize >= 2ull * DISK;
	return folders[fits ? where & 1 : 0];
}

void make_image(const char *folder)
{
	snprintf(path, sizeof(path), "%s/lodge-blk-XXXXXX", folder);
	image_fd = mkstemp(path);
	ck_assert_int_ge(image_fd, 0);
	ck_assert_int_eq(ftruncate(image_fd, DISK), 0);
}

void open_disk(int where)
{
	make_image(folder_of(where));
	rig = (struct rig){ 0 };
	disk.name = (char *)"disk";
	disk.file = path;
	disk.serial = (char *)"SERIAL-0123456789ABCDEF";
	rig.config.disks = &disk;
	rig.config.n_disks = 1;
	rig_create(&rig);
	device = rig_add_device(&rig, &virtio_blk_type, 0);
	ck_assert_ptr_nonnull(device);
	bring_up(FEATURES);
}

void close_disk(void)
{
	if (device)
		rig_remove_device(device);
	rig_destroy(&rig);
	close(image_fd);
	unlink(path);
	disk = (struct vm_disk){ 0 };
	device = NULL;
}

void put_header(uint64_t address, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr header = { .type = htole32(type), .sector = htole64(sector) };

	ck_assert_int_eq(memory_write(rig.machine.memory, address, &header, sizeof(header)), 0);
}

uint8_t wait_status(void)
{
	uint8_t status = 0xee;

	rig_kick(&ring);
	ck_assert(rig_take(&ring, NULL, NULL));
	ck_assert_int_eq(memory_read(rig.machine.memory, STATUS, &status, 1), 0);
	return status;
}

uint8_t request(uint32_t type, uint64_t sector, uint64_t data, uint32_t len, bool in)
{
	struct rig_buffer buffers[] = { { HEADER, 16, false },
					{ data, len, in },
					{ STATUS, 1, true } };
	uint8_t poison = 0xee;

	put_header(HEADER, type, sector);
	ck_assert_int_eq(memory_write(rig.machine.memory, STATUS, &poison, 1), 0);
	rig_add(&ring, buffers, 3);
	return wait_status();
}

void pattern(uint8_t *bytes, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + seed + (i >> 8));
}

void check_image(off_t offset, const uint8_t *bytes, size_t len)
{
	uint8_t *there = malloc(len);

	ck_assert_int_eq(pread(image_fd, there, len, offset), (ssize_t)len);
	ck_assert_mem_eq(there, bytes, len);
	free(there);
}

uint8_t range(uint32_t type, uint64_t sector, uint32_t count, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes range = { .sector = htole64(sector),
							 .num_sectors = htole32(count),
							 .flags = htole32(flags) };

	ck_assert_int_eq(memory_write(rig.machine.memory, DATA, &range, sizeof(range)), 0);
	return request(type, 0, DATA, sizeof(range), false);
}
