// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How a disk's operations are carried out: io_uring, or at once.
 *
 * A batch of requests costs one io_uring_enter(2), and the ring's descriptor in the loop's epoll
 * tells of completions. Images in memory (tmpfs) have nothing to wait for, so handing them to the
 * kernel's worker threads, which io_uring does with file systems that know no non-blocking I/O,
 * would only cost: they are read and written here, at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host-vmm/loop.h"
#include "host-vmm/virtio/blk_private.h"

#define IMAGE_SLOT 0 /* of the registered files */
#define REAP_BATCH 64u

static int fallocate_mode(const struct blk_request *request)
{
	return FALLOC_FL_KEEP_SIZE |
	       (request->op == BLK_OP_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
}

/* Section 5.2.6.2: without a flush command, written means on the medium. */
static int write_flags(const struct blk_request *request)
{
	return request->blk->writethrough ? RWF_DSYNC : 0;
}

static int64_t do_now(struct blk_request *request)
{
	int fd = request->blk->image.fd;
	off_t offset = (off_t)request->offset;
	ssize_t n = -1;

	switch (request->op) {
	case BLK_OP_READ:
		n = preadv(fd, request->iov, (int)request->n_iov, offset);
		break;
	case BLK_OP_WRITE:
	case BLK_OP_WRITE_ZEROES:
		n = pwritev2(fd, request->iov, (int)request->n_iov, offset, write_flags(request));
		break;
	case BLK_OP_FLUSH:
		n = fdatasync(fd);
		break;
	case BLK_OP_PUNCH:
	case BLK_OP_ZERO:
		n = fallocate(fd, fallocate_mode(request), offset, (off_t)request->left);
		break;
	}
	return n < 0 ? -errno : n;
}

static void prepare(struct blk_request *request, struct io_uring_sqe *sqe)
{
	uint64_t offset = request->offset;

	switch (request->op) {
	case BLK_OP_READ:
		if (request->n_iov == 1)
			io_uring_prep_read(sqe, IMAGE_SLOT, request->iov->iov_base,
					   (unsigned int)request->iov->iov_len, offset);
		else
			io_uring_prep_readv(sqe, IMAGE_SLOT, request->iov, request->n_iov, offset);
		break;
	case BLK_OP_WRITE:
	case BLK_OP_WRITE_ZEROES:
		if (request->n_iov == 1)
			io_uring_prep_write(sqe, IMAGE_SLOT, request->iov->iov_base,
					    (unsigned int)request->iov->iov_len, offset);
		else
			io_uring_prep_writev(sqe, IMAGE_SLOT, request->iov, request->n_iov, offset);
		sqe->rw_flags = write_flags(request);
		break;
	case BLK_OP_FLUSH:
		io_uring_prep_fsync(sqe, IMAGE_SLOT, IORING_FSYNC_DATASYNC);
		break;
	case BLK_OP_PUNCH:
	case BLK_OP_ZERO:
		io_uring_prep_fallocate(sqe, IMAGE_SLOT, fallocate_mode(request), (off_t)offset,
					(off_t)request->left);
		break;
	}
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, request);
}

void blk_engine_do(struct blk_request *request)
{
	struct virtio_blk *blk = request->blk;
	struct io_uring_sqe *sqe;

	if (!blk->has_ring) {
		blk_request_result(request, do_now(request));
		return;
	}
	sqe = io_uring_get_sqe(&blk->ring);
	if (!sqe) {
		(void)io_uring_submit(&blk->ring);
		sqe = io_uring_get_sqe(&blk->ring);
	}
	/* The kernel took nothing: it is out of memory. What can be done here, is. */
	if (!sqe)
		blk_request_result(request, do_now(request));
	else
		prepare(request, sqe);
}

static void reap(struct virtio_blk *blk)
{
	struct io_uring_cqe *cqes[REAP_BATCH];
	unsigned int n;

	while ((n = io_uring_peek_batch_cqe(&blk->ring, cqes, REAP_BATCH)) > 0) {
		struct blk_request *requests[REAP_BATCH];
		int results[REAP_BATCH];

		/* Copied and given back first, for results may lead to new submissions. */
		for (unsigned int i = 0; i < n; i++) {
			requests[i] = io_uring_cqe_get_data(cqes[i]);
			results[i] = cqes[i]->res;
		}
		io_uring_cq_advance(&blk->ring, n);
		for (unsigned int i = 0; i < n; i++)
			blk_request_result(requests[i], results[i]);
	}
}

void blk_engine_flush(struct virtio_blk *blk)
{
	if (!blk->has_ring)
		return;
	reap(blk);
	while (io_uring_sq_ready(&blk->ring) > 0) {
		int ret = io_uring_submit(&blk->ring);

		/* Tried again when something completes; with nothing in the kernel, at once. */
		if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
			break;
		reap(blk);
	}
}

void blk_engine_drain(struct virtio_blk *blk)
{
	while (blk->in_flight > 0) {
		(void)io_uring_submit_and_wait(&blk->ring, 1);
		reap(blk);
	}
}

static int open_ring(struct virtio_blk *blk)
{
	const unsigned int entries = BLK_QUEUE_SIZE;
	/* Not DEFER_TASKRUN: epoll does not hear of what worker threads complete then. */
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SINGLE_ISSUER,
		.cq_entries = 2 * BLK_QUEUE_SIZE * blk->model.vdev.n_queues,
	};
	int ret = io_uring_queue_init_params(entries, &blk->ring, &params);

	if (ret == -EINVAL) {
		/* Kernels before 6.0. */
		params = (struct io_uring_params){ .flags = IORING_SETUP_CQSIZE,
						   .cq_entries = params.cq_entries };
		ret = io_uring_queue_init_params(entries, &blk->ring, &params);
	}
	if (ret < 0)
		return ret;
	ret = io_uring_register_files(&blk->ring, &blk->image.fd, 1);
	if (ret < 0)
		io_uring_queue_exit(&blk->ring);
	return ret;
}

void blk_engine_close(struct virtio_blk *blk)
{
	if (!blk->has_ring)
		return;
	loop_remove(blk->ring_source);
	blk->ring_source = NULL;
	io_uring_queue_exit(&blk->ring);
	blk->has_ring = false;
}

void blk_engine_open(struct virtio_blk *blk)
{
	int ret;

	if (blk->image.in_memory)
		return;
	ret = open_ring(blk);
	blk->has_ring = ret == 0;
	if (ret < 0)
		log_warn("%s: io_uring is not available (%s): its I/O will be slow; see "
			 "/proc/sys/kernel/io_uring_disabled",
			 blk->model.device.name, strerror(-ret));
}
