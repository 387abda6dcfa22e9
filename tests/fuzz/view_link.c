// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes what windows read from display.sock: any bytes, with memory beside them. The input's first
 * byte says where in the rest a descriptor comes along; what the link hands on must keep its word.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/view/link.h"
#include "protocol/lib/fd.h"

#define MEMORY (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned int n_heads;

static void on_hello(void *opaque, const struct link_hello *hello)
{
	(void)opaque;
	if (hello->heads == 0 || hello->heads > LODGE_DISPLAY_HEADS_MAX || hello->name[71] != 0)
		abort();
	for (const char *at = hello->name; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			abort();
	n_heads = hello->heads;
}

static void on_frame(void *opaque, unsigned int head, const struct link_frame *frame, int fd)
{
	(void)opaque;
	if (head >= n_heads || (frame->source == LODGE_DISPLAY_NONE) != (fd < 0) ||
	    (uint64_t)frame->stride * frame->height > MEMORY || frame->stride / 4 < frame->width)
		abort();
	if (fd >= 0)
		close(fd);
}

static void on_damage(void *opaque, unsigned int head, uint32_t serial,
		      const struct link_rect *rects, unsigned int n_rects)
{
	volatile uint32_t last;

	(void)opaque;
	(void)serial;
	if (head >= n_heads || n_rects == 0 || n_rects > LODGE_DISPLAY_RECTS_MAX)
		abort();
	last = rects[n_rects - 1].height;
	(void)last;
}

static void on_cursor(void *opaque, unsigned int head, const struct link_cursor *cursor)
{
	volatile uint32_t last = 0;

	(void)opaque;
	if (head >= n_heads || cursor->width > 64 || cursor->height > 64)
		abort();
	if (cursor->width > 0)
		last = cursor->pixels[cursor->width * cursor->height - 1];
	(void)last;
}

static void on_input(void *opaque, bool absolute, uint32_t leds)
{
	(void)opaque;
	(void)absolute;
	(void)leds;
}

static const struct link_ops ops = {
	.hello = on_hello,
	.frame = on_frame,
	.damage = on_damage,
	.cursor = on_cursor,
	.input = on_input,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int sockets[2], memory;
	struct link *link;
	size_t with;

	if (size < 3 || size > 4096)
		return 0;
	with = 1 + data[0] % (size - 1);
	n_heads = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets) < 0)
		abort();
	memory = memfd_create("fuzz", MFD_CLOEXEC);
	if (memory < 0 || ftruncate(memory, MEMORY) < 0 ||
	    link_adopt(sockets[0], &ops, NULL, &link) < 0)
		abort();
	if (with > 1)
		(void)fd_send(sockets[1], data + 1, with - 1, NULL, 0);
	(void)fd_send(sockets[1], data + with, size - with, &memory, 1);
	close(memory);
	close(sockets[1]);
	while (link_read(link) == 0)
		;
	link_close(link);
	return 0;
}
