// SPDX-License-Identifier: GPL-2.0-or-later
/* /dev/lodge-fs/TAG: opening it, and its calls. */
#include "shared-fs/guest/device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define DATA_MOST     (LODGE_FS_SLOT_SIZE_MAX - LODGE_FS_SLOT_UNIT)
#define PAGE	      4096u
#define HEADERS_PAGES 8u /* descriptors that headers and what is around the data may take */
#define SLOTS_WANTED  16u

bool device_tag_ok(const char *tag)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_.-";
	size_t len = strlen(tag);

	return len && len <= LODGE_FS_TAG_SIZE && strspn(tag, plain) == len && tag[0] != '.' &&
	       tag[0] != '-';
}

void device_path(const char *tag, char ret_path[DEVICE_PATH_SIZE])
{
	snprintf(ret_path, DEVICE_PATH_SIZE, "%s/%s", LODGE_FS_FOLDER, tag);
}

int device_open(const char *tag, struct lodge_fs_info *ret_info)
{
	char path[DEVICE_PATH_SIZE];
	int fd;

	device_path(tag, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, LODGE_FS_INFO, ret_info)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

uint32_t device_data_most(const struct lodge_fs_info *info)
{
	uint32_t pages = info->segments_max > HEADERS_PAGES ? info->segments_max - HEADERS_PAGES
							    : 0;

	return pages >= DATA_MOST / PAGE ? DATA_MOST : pages * PAGE;
}

int device_set_slots(int fd, uint32_t data, uint32_t *ret_slots, uint32_t *ret_slot_size)
{
	struct lodge_fs_slots slots = {
		.slots = SLOTS_WANTED,
		.slot_size = ((data + LODGE_FS_SLOT_UNIT - 1) / LODGE_FS_SLOT_UNIT + 1) *
			     LODGE_FS_SLOT_UNIT,
	};

	/* Guests with little memory get fewer. */
	while (ioctl(fd, LODGE_FS_SLOTS, &slots)) {
		if (errno != EINVAL || slots.slots == 1)
			return -errno;
		slots.slots /= 2;
	}
	*ret_slots = slots.slots;
	*ret_slot_size = slots.slot_size;
	return 0;
}

static int map(void *opaque, uint32_t slot, uint32_t size, uint8_t **ret_memory)
{
	const int *fd = opaque;
	void *memory =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, (off_t)slot * size);

	if (memory == MAP_FAILED)
		return -errno;
	*ret_memory = memory;
	return 0;
}

static int exchange(void *opaque, struct lodge_fs_exchange *exchange)
{
	const int *fd = opaque;

	return ioctl(*fd, LODGE_FS_EXCHANGE, exchange) ? -errno : 0;
}

struct pump_device device_of(int *fd)
{
	return (struct pump_device){ .fd = *fd, .opaque = fd, .map = map, .exchange = exchange };
}
