/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk image: a raw file or block device, opened, measured and locked.
 */
#ifndef LODGE_VMM_BLK_IMAGE_H
#define LODGE_VMM_BLK_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

struct vm_disk;

#define BLK_SECTOR 512u /* bytes: virtio-blk's unit, whatever the block size (section 5.2) */

struct blk_image {
	int fd;
	uint64_t sectors;
	uint32_t block_size; /* bytes; what requests should be multiples of */
	uint32_t physical_block; /* bytes */
	uint32_t memory_align; /* bytes; of buffers, with direct I/O; else 1 */
	bool read_only;
	bool direct; /* O_DIRECT */
	bool in_memory; /* tmpfs: nothing that it does waits for a device */
};

/*
 * Opens @disk's file, relative to @dir, and locks it: several readers or one writer, among
 * Lodge's VMs and QEMU's. @name is the device's, for the one line that an error logs.
 */
int blk_image_open(struct blk_image *image, const struct vm_disk *disk, const char *dir,
		   const char *name);
void blk_image_close(struct blk_image *image);

#endif
