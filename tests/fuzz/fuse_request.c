// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The fuzzer plays the guest's FUSE driver: a session on a small folder, request after request.
 *
 * Input: requests, each one byte for its length in units of 8 (the header included), one for the
 * room of the reply in units of 16, then its bytes. header.len is set to fit where its top bit is
 * clear, and an opcode is taken modulo 64, else few would get beyond the first checks.
 */
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared-fs/server/dax.h"
#include "shared-fs/server/request.h"

#define REQUESTS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int make_folder(char *path)
{
	char file[64];
	int fd;

	if (!mkdtemp(path))
		abort();
	snprintf(file, sizeof(file), "%s/f", path);
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0 || write(fd, "content", 7) != 7)
		abort();
	close(fd);
	snprintf(file, sizeof(file), "%s/l", path);
	if (symlink("/etc/passwd", file))
		abort();
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void request(struct fs *fs, struct scratch *scratch, const uint8_t *bytes, size_t len,
		    size_t room)
{
	uint8_t *out = malloc(len ? len : 1);
	uint8_t *in = malloc(room ? room : 1);
	struct iovec iov[4];
	size_t head = len < sizeof(struct fuse_in_header) ? len : sizeof(struct fuse_in_header);
	struct request req;
	uint32_t written;
	size_t n_out = 0;

	memcpy(out, bytes, len);
	if (len >= sizeof(struct fuse_in_header)) {
		struct fuse_in_header *header = (void *)out;

		if (!(header->len >> 31))
			header->len = (uint32_t)len;
		header->opcode %= 64;
		switch (header->opcode) {
		case FUSE_SETLKW: /* would wait */
		case FUSE_SYNCFS: /* for the whole disk */
		case FUSE_FALLOCATE: /* would fill it */
		case FUSE_COPY_FILE_RANGE:
		case FUSE_MKNOD: /* devices, as root */
		case FUSE_IOCTL: /* immutable files */
			header->opcode = FUSE_LOOKUP;
			break;
		}
		header->uid = geteuid();
		header->gid = getegid();
	}
	if (head)
		iov[n_out++] = (struct iovec){ out, head };
	if (len > head)
		iov[n_out++] = (struct iovec){ out + head, len - head };
	iov[n_out] = (struct iovec){ in, room };
	fs_request(&req, fs, scratch, iov, n_out, len, room ? 1 : 0, room, true, &written);
	if (written > room)
		abort();
	free(out);
	free(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct owner_map nobody;
	struct fs_config config = { .fd_limit = 64, .host_locks = size & 1, .dax_size = 8 << 20 };
	char path[] = "/tmp/lodge-fuzz.XXXXXX";
	struct scratch *scratch = malloc(sizeof(*scratch));
	struct fs *fs;
	char command[128];
	int pair[2];

	if (!scratch || fs_create(&config, &fs) ||
	    fs_share_add(fs, "share", make_folder(path), false, &nobody, !(size & 2)))
		abort();
	/* A front end that is gone: what is asked of it fails, behind all checks. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		abort();
	close(pair[1]);
	dax_connect(fs->dax, pair[0], false);
	for (int i = 0; i < REQUESTS_MAX && size >= 2; i++) {
		size_t len = data[0] * 8u;
		size_t room = data[1] * 16u;

		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		request(fs, scratch, data, len, room);
		data += len;
		size -= len;
	}
	fs_destroy(fs);
	free(scratch);
	snprintf(command, sizeof(command), "chmod -R u+rwx %s; rm -rf %s", path, path);
	if (system(command) || !access(path, F_OK))
		abort();
	return 0;
}
