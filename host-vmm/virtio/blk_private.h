/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of virtio-blk share: blk.c is the device, blk_request.c turns a chain into
 * operations on the image and back, blk_engine.c carries operations out.
 *
 * Locking: everything runs on the disk's own loop, but for create and destroy.
 */
#ifndef LODGE_VMM_BLK_PRIVATE_H
#define LODGE_VMM_BLK_PRIVATE_H

#include <liburing.h>

#include "host-vmm/virtio/blk_image.h"
#include "host-vmm/virtio/virtio.h"
#include "protocol/lib/log.h"

#define BLK_QUEUE_SIZE 256
#define BLK_QUEUES_MAX 4
/* Data segments of a request: header and status take a descriptor each. */
#define BLK_SEG_MAX (BLK_QUEUE_SIZE - 2)
#define BLK_IOV_MAX (BLK_SEG_MAX + 2)

/* The most that a request which is misaligned for direct I/O may have, bytes. */
#define BLK_BOUNCE_MAX (4u << 20)
/* Of a discard or write-zeroes request, in sectors: below 2 GiB, as file systems like it. */
#define BLK_RANGE_MAX ((1u << 22) - 1)
#define BLK_ZEROES    (64u << 10) /* bytes of zeroes kept for writing where nothing else works */

struct virtio_blk;

enum blk_op {
	BLK_OP_READ = 1,
	BLK_OP_WRITE = 2,
	BLK_OP_FLUSH = 3,
	BLK_OP_PUNCH = 4, /* deallocate; reads as zeroes */
	BLK_OP_ZERO = 5, /* zeroes, allocated */
	BLK_OP_WRITE_ZEROES = 6, /* by writing them */
};

struct blk_request {
	struct virtio_blk *blk;
	struct virtqueue *vq;
	struct blk_request *next_free;
	uint16_t head;
	bool discard; /* a hint: that it cannot be done is no error */
	enum blk_op op;
	uint64_t offset, left; /* bytes: what is still to be done */
	struct iovec *iov; /* data that is still to be moved; for WRITE_ZEROES, of zeroes */
	unsigned int n_iov;
	unsigned int retries;
	uint32_t written; /* bytes of data to the guest, for the used ring */
	struct iovec status; /* one byte */
	/* Misaligned direct I/O goes through here; guest buffers wait in saved_*. */
	void *bounce;
	struct iovec bounce_iov, *saved_iov;
	unsigned int saved_n_iov;
	struct iovec iovs[BLK_IOV_MAX];
};

struct virtio_blk {
	struct virtio_model model;
	struct blk_image image;
	char serial[20]; /* VIRTIO_BLK_ID_BYTES, padded with zeroes */
	struct log_ratelimit log_limit;

	struct blk_request *requests; /* as many as may be in flight */
	size_t n_requests, n_used; /* those from n_used on were never taken */
	struct blk_request *free;
	unsigned int in_flight;
	void *zeroes; /* BLK_ZEROES bytes, read-only */
	bool writethrough; /* the driver knows no flush */
	bool no_zero_range; /* tried, and the image lacks it */

	bool has_ring; /* else all I/O is done at once */
	struct io_uring ring;
	struct loop_source *ring_source;
};

/* ---- blk_engine.c ---- */

/* On the loop's thread: io_uring, with the image registered. Without io_uring it warns and goes on.
 */
void blk_engine_open(struct virtio_blk *blk);
void blk_engine_close(struct virtio_blk *blk);
/* Carries out what @request asks next: at once, or blk_engine_flush() sends it to the kernel. */
void blk_engine_do(struct blk_request *request);
/* Submits what was prepared and takes what is complete. */
void blk_engine_flush(struct virtio_blk *blk);
/* Returns when nothing is in flight. */
void blk_engine_drain(struct virtio_blk *blk);

/* ---- blk_request.c ---- */

/* Takes over a popped chain; its iov is request->iovs. -EPROTO for one without header or status
 * byte, which breaks the queue. */
int blk_request_begin(struct blk_request *request, const struct virtq_chain *chain);
/* @result of the operation, as of preadv(2) and friends; continues or finishes. */
void blk_request_result(struct blk_request *request, int64_t result);

/* ---- blk.c ---- */

/* The request's chain is given back with @status (VIRTIO_BLK_S_*), the request is free again. */
void blk_finish(struct blk_request *request, uint8_t status);

#endif
