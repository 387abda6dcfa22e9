// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests of virtio-blk (virtio 1.2 section 5.2.6): from a chain to operations on the image, and
 * from their results to a status.
 *
 * The first 16 readable bytes are the header, however they are cut, the last writable byte is the
 * status; what is between is data and goes to the kernel as it lies in guest memory.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/memory.h"
#include "host-vmm/virtio/blk_private.h"

#define RETRIES_MAX 1000u

/* Drops @len bytes from the front of the data. */
static void advance(struct blk_request *request, uint64_t len)
{
	while (request->n_iov > 0 && len >= request->iov->iov_len) {
		len -= request->iov->iov_len;
		request->iov++;
		request->n_iov--;
	}
	if (request->n_iov > 0) {
		request->iov->iov_base = (char *)request->iov->iov_base + len;
		request->iov->iov_len -= len;
	}
}

/* ---- direct I/O of buffers that it does not take ---- */

static bool aligned(const struct blk_request *request)
{
	uintptr_t mask = request->blk->image.memory_align - 1;

	for (unsigned int i = 0; i < request->n_iov; i++)
		if (((uintptr_t)request->iov[i].iov_base | request->iov[i].iov_len) & mask)
			return false;
	return true;
}

static int bounce_begin(struct blk_request *request)
{
	size_t len = (size_t)request->left;

	if (request->left > BLK_BOUNCE_MAX)
		return -EINVAL;
	request->bounce = aligned_alloc(request->blk->image.memory_align, len);
	if (!request->bounce)
		return -ENOMEM;
	if (request->op == BLK_OP_WRITE)
		(void)memory_iov_read(request->iov, request->n_iov, 0, request->bounce, len);
	request->saved_iov = request->iov;
	request->saved_n_iov = request->n_iov;
	request->bounce_iov = (struct iovec){ .iov_base = request->bounce, .iov_len = len };
	request->iov = &request->bounce_iov;
	request->n_iov = 1;
	return 0;
}

static void bounce_end(struct blk_request *request, bool succeeded)
{
	if (!request->bounce)
		return;
	if (succeeded && request->op == BLK_OP_READ)
		(void)memory_iov_write(request->saved_iov, request->saved_n_iov, 0, request->bounce,
				       request->written);
	free(request->bounce);
	request->bounce = NULL;
}

/* ---- results ---- */

static void finish(struct blk_request *request, int error)
{
	struct virtio_blk *blk = request->blk;

	if (error != 0 && request->op != BLK_OP_FLUSH)
		log_ratelimited(&blk->log_limit, LOG_LEVEL_WARN, "%s: I/O error at byte %llu: %s",
				blk->model.device.name, (unsigned long long)request->offset,
				strerror(error));
	else if (error != 0)
		log_ratelimited(&blk->log_limit, LOG_LEVEL_WARN, "%s: flush failed: %s",
				blk->model.device.name, strerror(error));
	if (error != 0)
		request->written = 0;
	bounce_end(request, error == 0);
	blk_finish(request, error ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
}

static void fill_zeroes(struct blk_request *request)
{
	uint64_t left = request->left;

	request->iov = request->iovs;
	for (request->n_iov = 0; request->n_iov < BLK_IOV_MAX && left > 0; request->n_iov++) {
		size_t len = left < BLK_ZEROES ? (size_t)left : BLK_ZEROES;

		request->iovs[request->n_iov] =
			(struct iovec){ .iov_base = request->blk->zeroes, .iov_len = len };
		left -= len;
	}
}

/* The image lacks the operation: another that has the same effect, or -errno as it was. */
static int fall_back(struct blk_request *request, int error)
{
	if (error != EOPNOTSUPP && error != EINVAL && error != ENOSYS && error != ENODEV)
		return -error;
	if (request->op == BLK_OP_ZERO) {
		request->blk->no_zero_range = true;
	} else if (request->op != BLK_OP_PUNCH) {
		return -error;
	} else if (request->discard) {
		request->left = 0;
		return 0;
	}
	request->op = BLK_OP_WRITE_ZEROES;
	fill_zeroes(request);
	return 0;
}

static bool moves_data(const struct blk_request *request)
{
	return request->op == BLK_OP_READ || request->op == BLK_OP_WRITE ||
	       request->op == BLK_OP_WRITE_ZEROES;
}

static void begin_flush(struct blk_request *request)
{
	request->op = BLK_OP_FLUSH;
	request->left = 1;
	blk_engine_do(request);
}

/* Section 5.2.6.2: without a flush command, zeroes too are on the medium before they are said to
 * be. fallocate(2) has no flag for that. */
static bool owes_flush(const struct blk_request *request)
{
	return (request->op == BLK_OP_PUNCH || request->op == BLK_OP_ZERO) && !request->discard &&
	       request->blk->writethrough;
}

void blk_request_result(struct blk_request *request, int64_t result)
{
	if (result == -EAGAIN || result == -EINTR) {
		if (++request->retries > RETRIES_MAX)
			finish(request, EIO);
		else
			blk_engine_do(request);
		return;
	}
	if (result < 0 && fall_back(request, (int)-result) < 0) {
		finish(request, (int)-result);
		return;
	}
	if (result >= 0 && !moves_data(request)) {
		if (owes_flush(request)) {
			begin_flush(request);
			return;
		}
		request->left = 0;
	}
	if (result >= 0 && moves_data(request)) {
		/* Somebody has cut the file short beneath us. */
		if (result == 0 || (uint64_t)result > request->left) {
			finish(request, EIO);
			return;
		}
		request->offset += (uint64_t)result;
		request->left -= (uint64_t)result;
		if (request->op == BLK_OP_READ)
			request->written += (uint32_t)result;
		if (request->op == BLK_OP_WRITE_ZEROES)
			fill_zeroes(request);
		else
			advance(request, (uint64_t)result);
	}
	if (request->left == 0)
		finish(request, 0);
	else
		blk_engine_do(request);
}

/* ---- requests ---- */

/* Whether @count sectors from @sector on are on the disk. */
static bool in_range(const struct blk_image *image, uint64_t sector, uint64_t count)
{
	return sector <= image->sectors && count <= image->sectors - sector;
}

static void begin_data(struct blk_request *request, uint64_t sector, uint64_t len)
{
	struct virtio_blk *blk = request->blk;
	const struct blk_image *image = &blk->image;

	if (len % BLK_SECTOR != 0 || !in_range(image, sector, len / BLK_SECTOR) ||
	    (request->op == BLK_OP_WRITE && image->read_only)) {
		blk_finish(request, VIRTIO_BLK_S_IOERR);
		return;
	}
	request->offset = sector * BLK_SECTOR;
	request->left = len;
	if (len == 0) {
		blk_finish(request, VIRTIO_BLK_S_OK);
		return;
	}
	if (image->direct) {
		if ((request->offset | len) & (image->block_size - 1)) {
			blk_finish(request, VIRTIO_BLK_S_IOERR);
			return;
		}
		if (!aligned(request) && bounce_begin(request) < 0) {
			blk_finish(request, VIRTIO_BLK_S_IOERR);
			return;
		}
	}
	blk_engine_do(request);
}

/* Section 5.2.6.2: one range, since that is what max_*_seg says. */
static void begin_range(struct blk_request *request, bool discard, uint64_t len)
{
	struct virtio_blk *blk = request->blk;
	struct virtio_blk_discard_write_zeroes range;
	const uint32_t known = discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	uint32_t flags, count;
	uint64_t sector;

	if (len != sizeof(range) || memory_iov_read(request->iov, request->n_iov, 0, &range,
						    sizeof(range)) != sizeof(range)) {
		blk_finish(request, VIRTIO_BLK_S_IOERR);
		return;
	}
	sector = le64toh(range.sector);
	count = le32toh(range.num_sectors);
	flags = le32toh(range.flags);
	if (flags & ~known) {
		blk_finish(request, VIRTIO_BLK_S_UNSUPP);
		return;
	}
	if (blk->image.read_only || count > BLK_RANGE_MAX ||
	    !in_range(&blk->image, sector, count) ||
	    (sector | count) % (blk->image.block_size / BLK_SECTOR) != 0) {
		blk_finish(request, VIRTIO_BLK_S_IOERR);
		return;
	}
	request->discard = discard;
	request->offset = sector * BLK_SECTOR;
	request->left = (uint64_t)count * BLK_SECTOR;
	if (count == 0) {
		blk_finish(request, VIRTIO_BLK_S_OK);
		return;
	}
	if (discard || (flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP)) {
		request->op = BLK_OP_PUNCH;
	} else if (!blk->no_zero_range) {
		request->op = BLK_OP_ZERO;
	} else {
		request->op = BLK_OP_WRITE_ZEROES;
		fill_zeroes(request);
	}
	blk_engine_do(request);
}

static void get_id(struct blk_request *request)
{
	request->written = (uint32_t)memory_iov_write(request->iov, request->n_iov, 0,
						      request->blk->serial,
						      sizeof(request->blk->serial));
	blk_finish(request, VIRTIO_BLK_S_OK);
}

/* The status byte leaves the writable part. */
static void take_status(struct blk_request *request, struct iovec *in, unsigned int *n_in)
{
	struct iovec *last = &in[*n_in - 1];

	last->iov_len--;
	request->status =
		(struct iovec){ .iov_base = (char *)last->iov_base + last->iov_len, .iov_len = 1 };
	if (last->iov_len == 0)
		(*n_in)--;
}

int blk_request_begin(struct blk_request *request, const struct virtq_chain *chain)
{
	struct virtio_blk_outhdr header;
	struct iovec *in = request->iovs + chain->n_out;
	unsigned int n_in = chain->n_in;
	uint64_t sector;

	if (chain->out_len < sizeof(header) || chain->in_len < 1)
		return -EPROTO;
	request->head = chain->head;
	request->discard = false;
	request->op = 0;
	request->retries = 0;
	request->written = 0;
	request->bounce = NULL;
	(void)memory_iov_read(request->iovs, chain->n_out, 0, &header, sizeof(header));
	take_status(request, in, &n_in);
	request->iov = request->iovs;
	request->n_iov = chain->n_out;
	advance(request, sizeof(header));
	sector = le64toh(header.sector);
	/* A program of the guest read from the disk, without its cache, into a mapped file. */
	if (chain->left_out) {
		request->offset = sector * BLK_SECTOR;
		finish(request, EFAULT);
		return 0;
	}
	switch (le32toh(header.type)) {
	case VIRTIO_BLK_T_IN:
		request->op = BLK_OP_READ;
		request->iov = in;
		request->n_iov = n_in;
		begin_data(request, sector, chain->in_len - 1);
		break;
	case VIRTIO_BLK_T_OUT:
		request->op = BLK_OP_WRITE;
		begin_data(request, sector, chain->out_len - sizeof(header));
		break;
	case VIRTIO_BLK_T_FLUSH:
		begin_flush(request);
		break;
	case VIRTIO_BLK_T_GET_ID:
		request->iov = in;
		request->n_iov = n_in;
		get_id(request);
		break;
	case VIRTIO_BLK_T_DISCARD:
		begin_range(request, true, chain->out_len - sizeof(header));
		break;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		begin_range(request, false, chain->out_len - sizeof(header));
		break;
	default:
		blk_finish(request, VIRTIO_BLK_S_UNSUPP);
	}
	return 0;
}
