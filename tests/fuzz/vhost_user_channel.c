// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The fuzzer plays a back end on the channel for its own requests: what it has mapped into a
 * window, and what stays mapped when it has done its worst.
 *
 * Input: pieces of the stream, each one byte for its length, whose top bit brings a descriptor with
 * it (of a file of 64 KiB), then its bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/loop.h"
#include "host-vmm/shm_window.h"
#include "host-vmm/vhost-user/channel.h"
#include "protocol/lib/fd.h"

#define WINDOW	  (4ull << 20)
#define FILE_SIZE 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_map(void *opaque, const struct vhost_user_mmap *mmap, int fd)
{
	return shm_window_map(opaque, fd,
			      &(struct shm_piece){ mmap->shm_offset, mmap->len, mmap->fd_offset,
						   mmap->flags & VHOST_USER_MMAP_WRITE });
}

static int on_unmap(void *opaque, const struct vhost_user_mmap *mmap)
{
	return shm_window_unmap(opaque, mmap->shm_offset, mmap->len);
}

static void on_broken(void *opaque, const char *why)
{
	(void)opaque;
	if (!*why)
		abort();
}

static const struct vhost_channel_ops ops = { on_map, on_unmap, on_broken };

static void feed(int peer, const uint8_t *data, size_t size, int file)
{
	uint8_t answers[256];

	while (size > 1) {
		size_t len = data[0] & 0x7f;
		bool with_file = data[0] & 0x80;

		data++;
		size--;
		len = len < size ? len : size;
		if (len && fd_send(peer, data, len, &file, with_file))
			return;
		data += len;
		size -= len;
		while (recv(peer, answers, sizeof(answers), MSG_DONTWAIT) > 0)
			;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vhost_channel *channel;
	struct shm_window *window;
	uint8_t answers[256];
	struct loop *loop;
	int file = memfd_create("file", MFD_CLOEXEC);
	int peer;

	if (file < 0 || ftruncate(file, FILE_SIZE) || shm_window_create(WINDOW, -1, 0, &window) ||
	    loop_create("fuzz", &loop) || vhost_channel_create(loop, &ops, window, &channel, &peer))
		abort();
	feed(peer, data, size, file);
	shutdown(peer, SHUT_WR);
	/* Until the channel has taken it all, and ends. */
	while (recv(peer, answers, sizeof(answers), 0) > 0)
		;
	/* The file goes away under whatever is mapped: with it mended, all can be read. */
	if (ftruncate(file, 0))
		abort();
	while (shm_window_repair(window) == SHM_REPAIR_DONE)
		;
	for (size_t at = 0; at < WINDOW; at += 4096)
		(void)*(volatile uint8_t *)((uint8_t *)shm_window_host(window) + at);
	vhost_channel_destroy(channel);
	shm_window_clear(window);
	if (shm_window_pieces(window))
		abort();
	loop_destroy(loop);
	shm_window_destroy(window);
	close(peer);
	close(file);
	return 0;
}
