// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The fuzzer plays the back end: its bytes are all that the front end reads. Whole lives are tried
 * (handshake, start, stop), and the record of requests in flight is read last.
 *
 * Input: two bytes, little-endian, say how long the first chunk of the back end's stream is; the
 * stream follows. The second chunk brings a descriptor, of shared memory that holds the input.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/memory.h"
#include "host-vmm/vhost-user/frontend.h"
#include "protocol/lib/fd.h"

#define MEMORY_SIZE (1ull << 20)
#define INPUT_MAX   4096
#define QUEUES	    2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void feed(int socket, const uint8_t *data, size_t size, int fd)
{
	if (size)
		fd_send(socket, data, size, &fd, fd >= 0);
}

static void live(struct vhost_user *vu, const struct memory *memory)
{
	struct vhost_user_vring rings[QUEUES];
	uint16_t bases[QUEUES], heads[64];
	int event = eventfd(0, EFD_CLOEXEC);

	for (unsigned int i = 0; i < QUEUES; i++)
		rings[i] = (struct vhost_user_vring){ .size = 64,
						      .desc = 0x1000,
						      .available = 0x2000,
						      .used = 0x3000,
						      .kick_fd = event,
						      .call_fd = event,
						      .err_fd = -1 };
	if (!vhost_user_handshake(vu, 0)) {
		if (!vhost_user_start(vu, ~0ull, memory, rings, QUEUES)) {
			vhost_user_check(vu);
			vhost_user_stop(vu, bases);
		}
	}
	for (unsigned int i = 0; i <= QUEUES; i++)
		vhost_user_inflight(vu, i, 3, heads, 64);
	close(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory *memory;
	struct vhost_user *vu;
	int pair[2], shared;
	size_t split;

	if (size < 2 || size > INPUT_MAX)
		return 0;
	split = data[0] | (size_t)data[1] << 8;
	data += 2;
	size -= 2;
	if (split > size)
		split = size;
	if (memory_create(MEMORY_SIZE, MEMORY_SHARED, &memory))
		abort();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		abort();
	shared = memfd_create("record", MFD_CLOEXEC);
	if (shared < 0 || write(shared, data, size) != (ssize_t)size)
		abort();
	feed(pair[1], data, split, -1);
	feed(pair[1], data + split, size - split, shared);
	/* All is said: whatever the front end still waits for ends at once. */
	shutdown(pair[1], SHUT_WR);
	if (!vhost_user_create(pair[0], 1000, &vu)) {
		live(vu, memory);
		vhost_user_destroy(vu);
	}
	close(pair[1]);
	close(shared);
	memory_destroy(memory);
	return 0;
}
