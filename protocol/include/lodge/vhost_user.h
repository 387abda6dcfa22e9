/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-3-Clause */
/*
 * The vhost-user protocol: a VMM (the front end) hands the queues of a virtio device to another
 * process (the back end) over a Unix stream socket.
 *
 * Source of every number: QEMU's docs/interop/vhost-user.rst ("Vhost-user Protocol"). Unlike
 * Lodge's own formats the fields are in the machine's own byte order, as that document says: both
 * ends are on one machine.
 *
 * A message is a header of 12 bytes, then header.size bytes of payload, with descriptors as
 * SCM_RIGHTS beside the header. The header's size is no multiple of 8, so a message is not one C
 * struct: read the header, check it, then read the payload into a union vhost_user_payload.
 */
#ifndef LODGE_VHOST_USER_H
#define LODGE_VHOST_USER_H

#include <linux/types.h>

struct vhost_user_header {
	__u32 request; /* enum vhost_user_request */
	__u32 flags; /* VHOST_USER_VERSION and VHOST_USER_FLAG_* */
	__u32 size; /* bytes of payload */
};
_Static_assert(sizeof(struct vhost_user_header) == 12, "wire size");

/* header.flags: the low two bits are the version, 1 for ever. */
#define VHOST_USER_VERSION_MASK 0x3u
#define VHOST_USER_VERSION	0x1u
#define VHOST_USER_FLAG_REPLY	0x4u /* on every reply of the back end */
#define VHOST_USER_FLAG_NEED_REPLY                                     \
	0x8u /* front end wants an ack; only with PROTOCOL_F_REPLY_ACK \
	      */

/* The requests of the front end. The comment names payload member, descriptors, and reply. */
enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1, /* none -> u64: virtio features and bit 30 below */
	VHOST_USER_SET_FEATURES = 2, /* u64 */
	VHOST_USER_SET_OWNER = 3, /* none */
	VHOST_USER_RESET_OWNER = 4, /* none; deprecated, ignored by many back ends */
	VHOST_USER_SET_MEM_TABLE = 5, /* mem_table, one fd for each region */
	VHOST_USER_SET_LOG_BASE = 6, /* log, fd -> none (with PROTOCOL_F_LOG_SHMFD) */
	VHOST_USER_SET_LOG_FD = 7, /* none, fd */
	VHOST_USER_SET_VRING_NUM = 8, /* vring_state: num is the queue's size */
	VHOST_USER_SET_VRING_ADDR = 9, /* vring_addr */
	VHOST_USER_SET_VRING_BASE = 10, /* vring_state: num is the next available index */
	VHOST_USER_GET_VRING_BASE = 11, /* vring_state -> vring_state; stops the queue */
	VHOST_USER_SET_VRING_KICK = 12, /* u64: VHOST_USER_VRING_*; fd: eventfd. Starts it */
	VHOST_USER_SET_VRING_CALL = 13, /* u64, fd: eventfd */
	VHOST_USER_SET_VRING_ERR = 14, /* u64, fd: eventfd */
	VHOST_USER_GET_PROTOCOL_FEATURES = 15, /* none -> u64: VHOST_USER_PROTOCOL_F_* */
	VHOST_USER_SET_PROTOCOL_FEATURES = 16, /* u64 */
	VHOST_USER_GET_QUEUE_NUM = 17, /* none -> u64 (with PROTOCOL_F_MQ) */
	VHOST_USER_SET_VRING_ENABLE = 18, /* vring_state: num is 0 or 1 */
	VHOST_USER_SEND_RARP = 19,
	VHOST_USER_NET_SET_MTU = 20,
	VHOST_USER_SET_BACKEND_REQ_FD = 21, /* none, fd (with PROTOCOL_F_BACKEND_REQ) */
	VHOST_USER_IOTLB_MSG = 22,
	VHOST_USER_SET_VRING_ENDIAN = 23,
	VHOST_USER_GET_CONFIG = 24, /* config -> config, same size; size 0 in the reply: error */
	VHOST_USER_SET_CONFIG = 25, /* config */
	VHOST_USER_CREATE_CRYPTO_SESSION = 26,
	VHOST_USER_CLOSE_CRYPTO_SESSION = 27,
	VHOST_USER_POSTCOPY_ADVISE = 28,
	VHOST_USER_POSTCOPY_LISTEN = 29,
	VHOST_USER_POSTCOPY_END = 30,
	VHOST_USER_GET_INFLIGHT_FD = 31, /* inflight -> inflight, fd */
	VHOST_USER_SET_INFLIGHT_FD = 32, /* inflight, fd */
	VHOST_USER_GPU_SET_SOCKET = 33,
	VHOST_USER_RESET_DEVICE = 34, /* none (with PROTOCOL_F_RESET_DEVICE) */
	VHOST_USER_VRING_KICK = 35, /* vring_state (with PROTOCOL_F_INBAND_NOTIFICATIONS) */
	VHOST_USER_GET_MAX_MEM_SLOTS = 36, /* none -> u64 (with PROTOCOL_F_CONFIGURE_MEM_SLOTS) */
	VHOST_USER_ADD_MEM_REG = 37, /* mem_region, one fd */
	VHOST_USER_REM_MEM_REG = 38, /* mem_region; an fd may come and is closed */
	VHOST_USER_SET_STATUS = 39, /* u64: virtio status (with PROTOCOL_F_STATUS) */
	VHOST_USER_GET_STATUS = 40, /* none -> u64 */
	/* 41 to 43 are for shared objects and for migration */
	VHOST_USER_GET_SHMEM_CONFIG = 44, /* none -> shmem_config (with PROTOCOL_F_SHMEM_MAP) */
	VHOST_USER_REQUEST_END,
};

/* The requests of the back end, on the socket of SET_BACKEND_REQ_FD. Those that ask for an ack
 * (VHOST_USER_FLAG_NEED_REPLY) get a u64. */
enum vhost_user_backend_request {
	VHOST_USER_BACKEND_IOTLB_MSG = 1,
	VHOST_USER_BACKEND_CONFIG_CHANGE_MSG = 2,
	VHOST_USER_BACKEND_VRING_HOST_NOTIFIER_MSG = 3,
	/* 4 to 8 are for in-band notifications and shared objects */
	VHOST_USER_BACKEND_SHMEM_MAP = 9, /* mmap, fd */
	VHOST_USER_BACKEND_SHMEM_UNMAP = 10, /* mmap: shmid, shm_offset and len count */
};

/* A virtio feature bit, in GET_FEATURES only: the back end knows GET_PROTOCOL_FEATURES. Where it
 * is acknowledged, queues start disabled and need SET_VRING_ENABLE. */
#define VHOST_USER_F_PROTOCOL_FEATURES 30

/* Bit numbers of GET_PROTOCOL_FEATURES. */
#define VHOST_USER_PROTOCOL_F_MQ		   0
#define VHOST_USER_PROTOCOL_F_LOG_SHMFD		   1
#define VHOST_USER_PROTOCOL_F_RARP		   2
#define VHOST_USER_PROTOCOL_F_REPLY_ACK		   3
#define VHOST_USER_PROTOCOL_F_MTU		   4
#define VHOST_USER_PROTOCOL_F_BACKEND_REQ	   5
#define VHOST_USER_PROTOCOL_F_CROSS_ENDIAN	   6
#define VHOST_USER_PROTOCOL_F_CRYPTO_SESSION	   7
#define VHOST_USER_PROTOCOL_F_PAGEFAULT		   8
#define VHOST_USER_PROTOCOL_F_CONFIG		   9
#define VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD	   10
#define VHOST_USER_PROTOCOL_F_HOST_NOTIFIER	   11
#define VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD	   12
#define VHOST_USER_PROTOCOL_F_RESET_DEVICE	   13
#define VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS 14
#define VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS  15
#define VHOST_USER_PROTOCOL_F_STATUS		   16
#define VHOST_USER_PROTOCOL_F_SHMEM_MAP		   22 /* 17 to 21: Xen, objects, migration */

/* SET_VRING_KICK, _CALL, _ERR: payload.u64. */
#define VHOST_USER_VRING_INDEX_MASK 0xffu
#define VHOST_USER_VRING_NOFD	    0x100u /* no descriptor is with it: poll, or do not signal */

/* SET_MEM_TABLE carries at most this many regions: one descriptor each,
 * VHOST_MEMORY_BASELINE_NREGIONS. */
#define VHOST_USER_MEM_REGIONS_MAX 8

struct vhost_user_mem_region {
	__u64 guest_addr; /* guest physical */
	__u64 size; /* bytes */
	__u64 user_addr; /* the front end's own virtual address; SET_VRING_ADDR speaks in these */
	__u64 mmap_offset; /* where the region begins in its descriptor, bytes */
};
_Static_assert(sizeof(struct vhost_user_mem_region) == 32, "wire size");

struct vhost_user_mem_table {
	__u32 n_regions;
	__u32 padding;
	struct vhost_user_mem_region
		regions[VHOST_USER_MEM_REGIONS_MAX]; /* only n_regions are sent */
};
_Static_assert(sizeof(struct vhost_user_mem_table) == 8 + 8 * 32, "wire size");

/* ADD_MEM_REG, REM_MEM_REG. */
struct vhost_user_single_region {
	__u64 padding;
	struct vhost_user_mem_region region;
};
_Static_assert(sizeof(struct vhost_user_single_region) == 40, "wire size");

struct vhost_user_vring_state {
	__u32 index;
	__u32 num;
};
_Static_assert(sizeof(struct vhost_user_vring_state) == 8, "wire size");

struct vhost_user_vring_addr {
	__u32 index;
	__u32 flags; /* bit 0: log writes to the used ring */
	__u64 descriptor; /* these three are addresses of the front end, see user_addr */
	__u64 used;
	__u64 available;
	__u64 log; /* guest address of the used ring for logging */
};
_Static_assert(sizeof(struct vhost_user_vring_addr) == 40, "wire size");

#define VHOST_USER_CONFIG_MAX 256 /* bytes of virtio configuration space */

struct vhost_user_config {
	__u32 offset; /* into the device's configuration space */
	__u32 size; /* bytes of data that follow; header.size is 12 more */
	__u32 flags; /* 0: a guest's write, 1: migration */
	__u8 data[VHOST_USER_CONFIG_MAX];
};
#define VHOST_USER_CONFIG_HEADER_SIZE 12
_Static_assert(sizeof(struct vhost_user_config) == 12 + 256, "wire size");

struct vhost_user_log {
	__u64 mmap_size;
	__u64 mmap_offset;
};
_Static_assert(sizeof(struct vhost_user_log) == 16, "wire size");

struct vhost_user_inflight {
	__u64 mmap_size;
	__u64 mmap_offset;
	__u16 n_queues;
	__u16 queue_size;
	__u32 padding;
};
_Static_assert(sizeof(struct vhost_user_inflight) == 24, "wire size");

#define VHOST_USER_SHMEM_REGIONS_MAX 256 /* ids of 8 bits */

/* GET_SHMEM_CONFIG: which of virtio's shared memory regions (virtio 1.2 section 2.10) the device
 * has. Sent whole. */
struct vhost_user_shmem_config {
	__u32 n_regions; /* how many of the sizes are not 0 */
	__u32 padding;
	__u64 sizes[VHOST_USER_SHMEM_REGIONS_MAX]; /* bytes, by id; 0: none */
};
_Static_assert(sizeof(struct vhost_user_shmem_config) == 8 + 256 * 8, "wire size");

#define VHOST_USER_MMAP_WRITE 0x1u /* flags: pages may be written to */

/* BACKEND_SHMEM_MAP, BACKEND_SHMEM_UNMAP: a piece of a file in a shared memory region. */
struct vhost_user_mmap {
	__u8 shmid;
	__u8 padding[7];
	__u64 fd_offset; /* bytes into the file */
	__u64 shm_offset; /* bytes into the region */
	__u64 len; /* bytes */
	__u64 flags; /* VHOST_USER_MMAP_WRITE */
};
_Static_assert(sizeof(struct vhost_user_mmap) == 40, "wire size");

/* The largest payload is the list of shared memory regions: nothing that Lodge sends or takes is
 * longer than this union; a header with a greater size ends the connection. */
union vhost_user_payload {
	__u64 u64; /* also the ack of VHOST_USER_FLAG_NEED_REPLY: 0 is success */
	struct vhost_user_mem_table mem_table;
	struct vhost_user_single_region mem_region;
	struct vhost_user_vring_state vring_state;
	struct vhost_user_vring_addr vring_addr;
	struct vhost_user_config config;
	struct vhost_user_log log;
	struct vhost_user_inflight inflight;
	struct vhost_user_shmem_config shmem_config;
	struct vhost_user_mmap mmap;
};

#endif
