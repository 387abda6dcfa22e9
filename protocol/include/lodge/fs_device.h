/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-3-Clause */
/*
 * /dev/lodge-fs/TAG: the queues of a virtio-fs device as a file, for kernels without virtiofs.
 * protocol/spec/fs-device.md has the meaning of each call. It never leaves the guest, so numbers
 * are of the machine's own byte order.
 */
#ifndef LODGE_FS_DEVICE_H
#define LODGE_FS_DEVICE_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* virtio 1.2 section 5.11.1 */
#define LODGE_FS_VIRTIO_ID 26

/* Section 5.11.4: bytes of the tag in the configuration space, and where the number of request
 * queues stands behind it. */
#define LODGE_FS_TAG_SIZE      36
#define LODGE_FS_CONFIG_QUEUES 36

/* Section 5.11.2: queue 0 is hiprio; without VIRTIO_FS_F_NOTIFICATION the rest are for requests. */
#define LODGE_FS_QUEUE_HIPRIO	    0
#define LODGE_FS_QUEUE_REQUEST	    1
#define LODGE_FS_REQUEST_QUEUES_MAX 7 /* more are left alone */

/* Where the files are, one a device; mode 0600. */
#define LODGE_FS_FOLDER "/dev/lodge-fs"

/* Bytes of a message of write(2) and of its reply. */
#define LODGE_FS_MESSAGE_MAX 4096u
/* Such messages that may be on their way, or whose reply nobody has read. */
#define LODGE_FS_MESSAGES_MAX 256u
/* The same of those that have no reply: then write(2) waits. Above a quarter of a queue of 1024,
 * which lodge-fsd may let come together before it looks at them. */
#define LODGE_FS_QUIET_MAX 512u

/* Slots are made of blocks of this size, which is a multiple of the page size. */
#define LODGE_FS_SLOT_UNIT (64u << 10)
/* FUSE_MAX_MAX_PAGES (256) pages of data, and a unit for headers. */
#define LODGE_FS_SLOT_SIZE_MAX ((1u << 20) + LODGE_FS_SLOT_UNIT)
#define LODGE_FS_SLOTS_MAX     32u

/* LODGE_FS_INFO */
struct lodge_fs_info {
	char tag[40]; /* ends with a NUL */
	__u32 request_queues;
	__u32 segments_max; /* descriptors of one request: the size of a queue */
	__u32 reserved[4]; /* 0 */
};
_Static_assert(sizeof(struct lodge_fs_info) == 64, "lodge_fs_info");

/* LODGE_FS_SLOTS */
struct lodge_fs_slots {
	__u32 slots; /* 1 to LODGE_FS_SLOTS_MAX */
	__u32 slot_size; /* bytes: a multiple of LODGE_FS_SLOT_UNIT, to LODGE_FS_SLOT_SIZE_MAX */
};
_Static_assert(sizeof(struct lodge_fs_slots) == 8, "lodge_fs_slots");

/* LODGE_FS_EXCHANGE: offsets are bytes from the slot's start. */
struct lodge_fs_exchange {
	__u32 slot;
	__u32 request_offset;
	__u32 request_size;
	__u32 reply_offset;
	__u32 reply_max;
	__u32 reply_size; /* out: what the device says it wrote, at most reply_max */
	__u32 reserved[2]; /* 0 */
};
_Static_assert(sizeof(struct lodge_fs_exchange) == 32, "lodge_fs_exchange");

/* Numbers of 'L' 0x40 and on: Documentation/userspace-api/ioctl/ioctl-number.rst has others of 'L'
 * at 0x00-0x1f and 0xe0-0xff. */
#define LODGE_FS_INFO	  _IOR('L', 0x40, struct lodge_fs_info)
#define LODGE_FS_SLOTS	  _IOW('L', 0x41, struct lodge_fs_slots)
#define LODGE_FS_EXCHANGE _IOWR('L', 0x42, struct lodge_fs_exchange)

#endif
