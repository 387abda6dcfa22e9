// SPDX-License-Identifier: GPL-2.0-or-later
/* Private copies of request buffers that lie in the DAX window. */
#include "shared-fs/server/dax_buffer.h"

#include <stdlib.h>

#include "shared-fs/server/dax.h"

struct dax_buffer {
	struct dax_buffer *next;
	uint64_t offset; /* in the window */
	uint32_t len;
	bool written;
	uint8_t bytes[];
};

static uint64_t total(const struct dax_buffer *list)
{
	uint64_t sum = 0;

	for (; list; list = list->next)
		sum += list->len;
	return sum;
}

void *dax_buffer_add(struct dax *dax, uint64_t addr, uint32_t len, bool written,
		     struct dax_buffer **list)
{
	struct dax_buffer *buffer;
	uint64_t offset;

	if (!dax_find(dax, addr, len, &offset) || total(*list) + len > DAX_BUFFERS_MAX)
		return NULL;
	/* Zeroed: the reply may be shorter than the buffer, and the rest goes to a file. */
	buffer = calloc(1, sizeof(*buffer) + len);
	if (!buffer)
		return NULL;
	buffer->next = *list;
	buffer->offset = offset;
	buffer->len = len;
	buffer->written = written;
	/* Also where it is to be written: what the request leaves alone stays. */
	dax_read(dax, offset, buffer->bytes, len);
	*list = buffer;
	return buffer->bytes;
}

void dax_buffers_finish(struct dax *dax, struct dax_buffer *list)
{
	while (list) {
		struct dax_buffer *next = list->next;

		if (dax && list->written)
			dax_write(dax, list->offset, list->bytes, list->len);
		free(list);
		list = next;
	}
}
