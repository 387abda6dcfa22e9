// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What mount.lodge makes of bytes of the host and of the kernel.
 *
 * Input: one byte for what it is (a reply, INIT's reply, a request, a table of mounts), one for the
 * limit in units of 64 KiB, then its bytes.
 */
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared-fs/guest/message.h"
#include "shared-fs/guest/mounts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void reply(const uint8_t *bytes, size_t size)
{
	struct fuse_out_header header = { 0 };

	if (size >= sizeof(header))
		memcpy(&header, bytes, sizeof(header));
	if (!message_is_reply(header.unique, bytes, size))
		return;
	/* All that the kernel relies on. */
	if (header.len != size || !header.unique || header.error > 0)
		abort();
}

static void init(uint8_t *bytes, size_t size, uint32_t most)
{
	int64_t limit = message_limit_init(bytes, size, most);
	struct message_init out = { 0 };

	if (limit < 0)
		return;
	if (limit > (128 << 10) && limit > most)
		abort();
	memcpy(&out, bytes + sizeof(struct fuse_out_header),
	       size - sizeof(struct fuse_out_header) < sizeof(out)
		       ? size - sizeof(struct fuse_out_header)
		       : sizeof(out));
	if (out.max_write > limit)
		abort();
}

static void request(const uint8_t *bytes, size_t size, uint32_t most)
{
	struct fuse_in_header header;
	struct message_cut cut;
	uint64_t part[512];
	size_t total = 0;
	size_t n;

	if (!message_is_request(bytes, size))
		return;
	memcpy(&header, bytes, sizeof(header));
	message_route(&header);
	if (message_reply_room(bytes, size, most) > most)
		abort();
	if (!message_cut_begin(&cut, bytes, size))
		return;
	while ((n = message_cut_next(&cut, part, sizeof(part)))) {
		total += n - 48;
		if (n > sizeof(part))
			abort();
	}
	if (total > size - 48)
		abort();
}

static void mounts(uint8_t *bytes, size_t size)
{
	FILE *file = size ? fmemopen(bytes, size, "r") : NULL;
	struct mounts_seen seen;

	if (!file)
		return;
	mounts_look(file, "/m", &seen);
	fclose(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes;
	uint32_t most;

	if (size < 2)
		return 0;
	most = ((data[1] & 15u) + 2) * (64u << 10);
	bytes = malloc(size - 2 ? size - 2 : 1);
	if (!bytes)
		return 0;
	memcpy(bytes, data + 2, size - 2);
	switch (data[0] & 3) {
	case 0:
		reply(bytes, size - 2);
		break;

	case 1:
		init(bytes, size - 2, most);
		break;

	case 2:
		request(bytes, size - 2, most);
		break;
	case 3:
		mounts(bytes, size - 2);
		break;
	}
	free(bytes);
	return 0;
}
