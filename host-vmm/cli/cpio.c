// SPDX-License-Identifier: GPL-2.0-or-later
// A writer of cpio archives, for the initramfs of instant VMs.
#include "host-vmm/cli/cpio.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "protocol/lib/fd.h"

#define HEADER_LEN 110 /* "070701" and 13 fields of 8 hexadecimal digits */
#define ALIGNMENT  4

void cpio_init(struct cpio *cpio, int fd)
{
	*cpio = (struct cpio){ .fd = fd, .inode = 1 };
}

static void put(struct cpio *cpio, const void *bytes, size_t len)
{
	if (cpio->error)
		return;
	cpio->error = fd_write_all(cpio->fd, bytes, len);
	cpio->written += len;
}

static void align(struct cpio *cpio)
{
	static const char zeroes[ALIGNMENT];

	put(cpio, zeroes, -cpio->written & (ALIGNMENT - 1));
}

static void put_header(struct cpio *cpio, const char *path, unsigned int mode, uint32_t size)
{
	unsigned int links = S_ISDIR(mode) ? 2 : 1;
	char header[HEADER_LEN + PATH_MAX + 1];
	size_t len = strlen(path) + 1;

	if (len > PATH_MAX) {
		cpio->error = cpio->error ? cpio->error : -ENAMETOOLONG;
		return;
	}
	snprintf(header, sizeof(header),
		 "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08zx%08x%s", cpio->inode++,
		 mode, 0, 0, links, 0, size, 0, 0, 0, 0, len, 0, path);
	put(cpio, header, HEADER_LEN + len);
	align(cpio);
}

void cpio_add_dir(struct cpio *cpio, const char *path, unsigned int mode)
{
	put_header(cpio, path, S_IFDIR | mode, 0);
}

void cpio_add_bytes(struct cpio *cpio, const char *path, unsigned int mode, const void *bytes,
		    size_t len)
{
	if (len > UINT32_MAX) {
		cpio->error = cpio->error ? cpio->error : -EFBIG;
		return;
	}
	put_header(cpio, path, S_IFREG | mode, (uint32_t)len);
	put(cpio, bytes, len);
	align(cpio);
}

static int copy_file(struct cpio *cpio, const char *path, unsigned int mode, const char *source)
{
	autofd fd = -1;
	struct stat st;
	void *map;

	fd = open(source, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (!st.st_size) {
		cpio_add_bytes(cpio, path, mode, "", 0);
		return 0;
	}
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	cpio_add_bytes(cpio, path, mode, map, (size_t)st.st_size);
	munmap(map, (size_t)st.st_size);
	return 0;
}

void cpio_add_file(struct cpio *cpio, const char *path, unsigned int mode, const char *source)
{
	int ret;

	if (cpio->error)
		return;
	ret = copy_file(cpio, path, mode, source);
	if (ret) {
		cpio->error = ret;
		cpio->unread = g_strdup(source);
	}
}

int cpio_finish(struct cpio *cpio)
{
	put_header(cpio, "TRAILER!!!", 0, 0);
	return cpio->error;
}
