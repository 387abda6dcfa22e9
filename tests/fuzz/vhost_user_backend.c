// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The fuzzer plays the front end: its bytes are messages for lodge-fsd's back end, and the start of
 * the memory in which the rings lie, so that the queues' parser sees them, too.
 *
 * Input: messages, each one byte for the request, one whose low nibble says how many descriptors
 * come with it (0 to 8) and whose top bit makes them eventfds instead of memory, one for the
 * payload's length; then the payload.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"
#include "shared-fs/server/vhost.h"

#define MEMORY_SIZE 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

static int make_memory(const struct input *input)
{
	size_t part = input->size < MEMORY_SIZE ? input->size : MEMORY_SIZE;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, MEMORY_SIZE) ||
	    pwrite(fd, input->data, part, 0) != (ssize_t)part)
		abort();
	return fd;
}

/* False at the end of the input. */
static bool send_message(int socket, struct input *input, int memory, int event)
{
	struct vhost_user_header header = { .flags = VHOST_USER_VERSION };
	uint8_t bytes[sizeof(header) + 255];
	int fds[FD_PASS_MAX];
	size_t n_fds;

	if (input->size < 3)
		return false;
	header.request = input->data[0];
	n_fds = input->data[1] & 0xf;
	if (n_fds > FD_PASS_MAX)
		n_fds = FD_PASS_MAX;
	for (size_t i = 0; i < n_fds; i++)
		fds[i] = input->data[1] & 0x80 ? event : memory;
	if (input->data[1] & 0x40)
		header.flags |= VHOST_USER_FLAG_NEED_REPLY;
	header.size = input->data[2];
	input->data += 3;
	input->size -= 3;
	if (header.size > input->size)
		header.size = (uint32_t)input->size;
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), input->data, header.size);
	input->data += header.size;
	input->size -= header.size;
	return !fd_send(socket, bytes, sizeof(header) + header.size, fds, n_fds);
}

static void drain(int socket)
{
	uint8_t bytes[512];

	while (recv(socket, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct owner_map nobody;
	struct input input = { data, size };
	struct fs_config config = { .fd_limit = 16, .dax_size = 8 << 20 };
	struct backend *backend;
	struct fs *fs;
	int memory = make_memory(&input);
	int event = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	int pair[2];

	log_set_level(0);
	if (fs_create(&config, &fs) ||
	    fs_share_add(fs, "share", open("/proc/self/fdinfo", O_PATH | O_CLOEXEC), true, &nobody,
			 true) ||
	    backend_create(fs, "fuzz", &backend) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		abort();
	backend_connect(backend, pair[1]);
	while (send_message(pair[0], &input, memory, event)) {
		if (backend_message(backend) < 0)
			break;
		drain(pair[0]);
	}
	backend_destroy(backend);
	fs_destroy(fs);
	close(pair[0]);
	close(memory);
	close(event);
	return 0;
}
