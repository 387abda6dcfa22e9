/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /dev/lodge-fs/TAG as the pump wants it. */
#ifndef LODGE_MOUNT_DEVICE_H
#define LODGE_MOUNT_DEVICE_H

#include <stdbool.h>

#include <lodge/fs_device.h>

#include "shared-fs/guest/pump.h"

/* A tag that is its file's name, too: 1 to 36 letters, digits, '.', '_', '-', with none of the last
 * two or '.' in front. */
bool device_tag_ok(const char *tag);
/* The file of @tag, which device_tag_ok(). */
#define DEVICE_PATH_SIZE (sizeof(LODGE_FS_FOLDER) + 1 + LODGE_FS_TAG_SIZE)
void device_path(const char *tag, char ret_path[DEVICE_PATH_SIZE]);

/* Opens it: a descriptor, close-on-exec, or a negative errno. */
int device_open(const char *tag, struct lodge_fs_info *ret_info);
/* Bytes of data that requests may have at most, with so many descriptors and every page by itself.
 */
uint32_t device_data_most(const struct lodge_fs_info *info);
/* Sets up slots for requests with @data bytes: their size and number, the most that the kernel
 * grants. */
int device_set_slots(int fd, uint32_t data, uint32_t *ret_slots, uint32_t *ret_slot_size);
/* The pump's view of @fd. */
struct pump_device device_of(int *fd);

#endif
