// SPDX-License-Identifier: GPL-2.0-only
/*
 * One message of the backdoor: its memory, as descriptors, and the checks of headers from both
 * sides.
 */
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat/compat.h"
#include "lodge_backdoor/door.h"

/* Of one descriptor: what a bounce buffer (swiotlb) takes in any case. */
#define SEGMENT_MAX (64u << 10)

/* Out and in share no cache line, for devices that are not coherent. */
#define IN_ALIGN 64u

static unsigned int count_segments(const u8 *memory, size_t size)
{
	if (!size)
		return 0;
	if (!is_vmalloc_addr(memory))
		return DIV_ROUND_UP(size, SEGMENT_MAX);
	return DIV_ROUND_UP(offset_in_page(memory) + size, PAGE_SIZE);
}

static void fill_segments(struct scatterlist *sg, unsigned int segments, u8 *memory, size_t size)
{
	unsigned int i;

	sg_init_table(sg, segments);
	for (i = 0; i < segments; i++) {
		size_t part;

		if (is_vmalloc_addr(memory)) {
			part = min_t(size_t, size, PAGE_SIZE - offset_in_page(memory));
			sg_set_page(&sg[i], vmalloc_to_page(memory), part, offset_in_page(memory));
		} else {
			part = min_t(size_t, size, SEGMENT_MAX);
			sg_set_buf(&sg[i], memory, part);
		}
		memory += part;
		size -= part;
	}
}

struct lodge_frame *lodge_frame_alloc(size_t out_size, size_t in_size, unsigned int segments_max)
{
	size_t in_start = ALIGN(out_size, IN_ALIGN);
	unsigned int out_segments, in_segments;
	struct lodge_frame *frame;
	u8 *buffer;

	buffer = kvmalloc(in_start + in_size, GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return NULL;
	out_segments = count_segments(buffer, out_size);
	in_segments = count_segments(buffer + in_start, in_size);
	if (out_segments + in_segments > segments_max)
		goto free_buffer;
	frame = kzalloc(sizeof(*frame) + (out_segments + in_segments) * sizeof(frame->sg[0]),
			GFP_KERNEL_ACCOUNT);
	if (!frame)
		goto free_buffer;
	INIT_LIST_HEAD(&frame->link);
	frame->buffer = buffer;
	frame->out = buffer;
	frame->out_size = out_size;
	frame->out_segments = out_segments;
	frame->in = buffer + in_start;
	frame->in_size = in_size;
	frame->in_segments = in_segments;
	/* A device that lies about what it wrote shows a program nothing of the kernel's. */
	memset(frame->in, 0, in_size);
	if (out_segments)
		fill_segments(frame->sg, out_segments, frame->out, out_size);
	if (in_segments)
		fill_segments(frame->sg + out_segments, in_segments, frame->in, in_size);
	return frame;
free_buffer:
	kvfree(buffer);
	return NULL;
}

void lodge_frame_free(struct lodge_frame *frame)
{
	if (!frame)
		return;
	kvfree(frame->buffer);
	kfree(frame);
}

void lodge_frames_free(struct list_head *frames)
{
	struct lodge_frame *frame, *next;

	list_for_each_entry_safe(frame, next, frames, link) {
		list_del(&frame->link);
		lodge_frame_free(frame);
	}
}

size_t lodge_frame_charge(size_t out_size, size_t in_size)
{
	return sizeof(struct lodge_frame) + ALIGN(out_size, IN_ALIGN) + in_size;
}

int lodge_header_check(const struct lodge_rpc_header *header, size_t count, u32 payload_max)
{
	u32 size = le32_to_cpu(header->size);
	u32 reply_max = le32_to_cpu(header->reply_max);
	u16 flags = le16_to_cpu(header->flags) & ~LODGE_RPC_F_ROOT;
	u16 type = le16_to_cpu(header->type);

	if (le32_to_cpu(header->magic) != LODGE_RPC_MAGIC || size != count - LODGE_RPC_HEADER_SIZE)
		return -EINVAL;
	if (type == LODGE_RPC_REQUEST) {
		if (reply_max < LODGE_REPLY_MAX_LEAST || reply_max > payload_max)
			return -EINVAL;
	} else if (reply_max) {
		return -EINVAL;
	}
	if (flags & ~(type == LODGE_RPC_DATA ? LODGE_RPC_F_END : 0))
		return -EINVAL;

	switch (type) {
	case LODGE_RPC_REQUEST:
	case LODGE_RPC_RESULT:
		return size <= payload_max ? 0 : -EMSGSIZE;
	case LODGE_RPC_DATA:
	case LODGE_RPC_RESET:
		return size <= LODGE_RPC_DATA_MAX ? 0 : -EMSGSIZE;
	case LODGE_RPC_CREDIT:
		return size == sizeof(__le32) ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

static bool reply_fits(const struct lodge_frame *frame, const struct lodge_rpc_header *header,
		       unsigned int used)
{
	return used >= LODGE_RPC_HEADER_SIZE && used <= frame->in_size &&
	       le32_to_cpu(header->magic) == LODGE_RPC_MAGIC &&
	       le16_to_cpu(header->type) == LODGE_RPC_REPLY &&
	       !(le16_to_cpu(header->flags) & ~LODGE_RPC_F_BUSY) &&
	       le32_to_cpu(header->size) == used - LODGE_RPC_HEADER_SIZE &&
	       le32_to_cpu(header->session) == frame->session->number &&
	       le32_to_cpu(header->tag) == frame->tag && !header->reply_max;
}

int lodge_frame_take_reply(struct lodge_frame *frame, unsigned int used)
{
	static const char refusal[] = "0 no reply from the host";

	memcpy(&frame->header, frame->in, sizeof(frame->header));
	if (reply_fits(frame, &frame->header, used))
		return 0;
	frame->header = (struct lodge_rpc_header){
		.magic = cpu_to_le32(LODGE_RPC_MAGIC),
		.size = cpu_to_le32(sizeof(refusal) - 1),
		.type = cpu_to_le16(LODGE_RPC_REPLY),
		.session = cpu_to_le32(frame->session->number),
		.tag = cpu_to_le32(frame->tag),
	};
	memcpy(frame->in + LODGE_RPC_HEADER_SIZE, refusal, sizeof(refusal) - 1);
	return -EPROTO;
}
