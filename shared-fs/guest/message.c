// SPDX-License-Identifier: GPL-2.0-or-later
/* FUSE messages: which way they go, which replies are fit for the kernel. */
#include "shared-fs/guest/message.h"

#include <errno.h>
#include <string.h>

/* A name, a link's target (PATH_MAX), attributes: whatever no struct tells the size of. */
#define REPLY_ROOM_SMALL 8192u
/* What a request carries where INIT agrees on no number of pages: FUSE_DEFAULT_MAX_PAGES_PER_REQ
 * (32) of 4 KiB. */
#define DATA_DEFAULT (128u << 10)
#define PAGE	     4096u
/* The kernel's own bound of a reply's error (fuse_dev_do_write). */
#define ERROR_LEAST (-511)

bool message_is_request(const void *request, size_t size)
{
	struct fuse_in_header header;

	if (size < sizeof(header))
		return false;
	memcpy(&header, request, sizeof(header));
	return header.len == size;
}

enum message_route message_route(const struct fuse_in_header *request)
{
	switch (request->opcode) {
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return MESSAGE_QUIET;

	case FUSE_INIT:
	case FUSE_SETLKW:
		return MESSAGE_WAITING;
	default:
		return MESSAGE_EXCHANGED;
	}
}

/* Requests that say how much they want: where in the body, for those that have it. */
static const struct {
	uint32_t opcode;
	uint32_t offset;
} sizes[] = {
	{ FUSE_READ, offsetof(struct fuse_read_in, size) },
	{ FUSE_READDIR, offsetof(struct fuse_read_in, size) },
	{ FUSE_READDIRPLUS, offsetof(struct fuse_read_in, size) },
	{ FUSE_GETXATTR, offsetof(struct fuse_getxattr_in, size) },
	{ FUSE_LISTXATTR, offsetof(struct fuse_getxattr_in, size) },
	{ FUSE_IOCTL, offsetof(struct fuse_ioctl_in, out_size) },
};

uint32_t message_reply_room(const void *request, size_t size, uint32_t most)
{
	struct fuse_in_header header;
	uint64_t room = REPLY_ROOM_SMALL;

	memcpy(&header, request, sizeof(header));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t at = sizeof(header) + sizes[i].offset;
		uint32_t wanted;

		if (sizes[i].opcode != header.opcode || at + sizeof(wanted) > size)
			continue;
		memcpy(&wanted, (const uint8_t *)request + at, sizeof(wanted));
		/* IOCTL's reply has a struct before the data. */
		room = sizeof(struct fuse_out_header) + sizeof(struct fuse_ioctl_out) +
		       (uint64_t)wanted;
	}
	return room < most ? (uint32_t)room : most;
}

bool message_is_reply(uint64_t unique, const void *reply, size_t size)
{
	struct fuse_out_header header;

	if (size < sizeof(header))
		return false;
	memcpy(&header, reply, sizeof(header));
	if (header.len != size || header.unique != unique || !unique)
		return false;
	return !header.error ||
	       (header.error < 0 && header.error >= ERROR_LEAST && size == sizeof(header));
}

struct fuse_out_header message_error(uint64_t unique, int error)
{
	return (struct fuse_out_header){ .len = sizeof(struct fuse_out_header),
					 .error = error,
					 .unique = unique };
}

int64_t message_limit_init(void *reply, size_t size, uint32_t most)
{
	struct fuse_out_header header;
	struct message_init out = { 0 };
	uint32_t data = DATA_DEFAULT;
	size_t len;

	if (size < sizeof(header))
		return -EPROTO;
	memcpy(&header, reply, sizeof(header));
	if (header.error)
		return header.error < 0 ? header.error : -EPROTO;
	len = size - sizeof(header);
	if (len < FUSE_COMPAT_22_INIT_OUT_SIZE)
		return -EPROTO;
	len = len < sizeof(out) ? len : sizeof(out);
	memcpy(&out, (uint8_t *)reply + sizeof(header), len);
	if (out.major != FUSE_KERNEL_VERSION)
		return -EPROTO;
	if (out.minor >= 28 && len == sizeof(out) && out.flags & FUSE_MAX_PAGES) {
		if (out.max_pages > most / PAGE)
			out.max_pages = (uint16_t)(most / PAGE);
		data = out.max_pages > 1 ? out.max_pages * PAGE : PAGE;
	}
	if (out.max_write > data)
		out.max_write = data;
	memcpy((uint8_t *)reply + sizeof(header), &out, len);
	return data;
}

bool message_cut_begin(struct message_cut *cut, const void *request, size_t size)
{
	const size_t head = sizeof(struct fuse_in_header) + sizeof(struct fuse_batch_forget_in);
	struct fuse_batch_forget_in batch;

	if (size < head)
		return false;
	memcpy(&cut->header, request, sizeof(cut->header));
	memcpy(&batch, (const uint8_t *)request + sizeof(cut->header), sizeof(batch));
	if (batch.count > (size - head) / sizeof(struct fuse_forget_one))
		return false;
	cut->items = (const uint8_t *)request + head;
	cut->left = batch.count;
	return true;
}

size_t message_cut_next(struct message_cut *cut, void *part, size_t most)
{
	const size_t head = sizeof(struct fuse_in_header) + sizeof(struct fuse_batch_forget_in);
	size_t fit = (most - head) / sizeof(struct fuse_forget_one);
	uint32_t count = cut->left < fit ? cut->left : (uint32_t)fit;
	size_t bytes = count * sizeof(struct fuse_forget_one);
	const struct fuse_batch_forget_in batch = { .count = count };

	if (!count)
		return 0;
	cut->header.len = (uint32_t)(head + bytes);
	memcpy(part, &cut->header, sizeof(cut->header));
	memcpy((uint8_t *)part + sizeof(cut->header), &batch, sizeof(batch));
	memcpy((uint8_t *)part + head, cut->items, bytes);
	cut->items += bytes;
	cut->left -= count;
	return head + bytes;
}
