// SPDX-License-Identifier: GPL-2.0-or-later
#include "protocol/lib/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CHUNK	  65536
#define NAMES_MAX 65536 /* XATTR_LIST_MAX of linux/limits.h */
#define VALUE_MAX 65536 /* XATTR_SIZE_MAX */
#define HOLES_MAX 10000 /* a file in more pieces goes as if it had none */

static bool is_users(const char *name)
{
	return !strncmp(name, "user.", 5);
}

void pack_attributes(struct archive_entry *entry, const char *path)
{
	char *names = malloc(NAMES_MAX), *value = malloc(VALUE_MAX);
	ssize_t len = names && value ? llistxattr(path, names, NAMES_MAX) : 0;

	for (const char *name = names; name < names + len; name += strlen(name) + 1) {
		ssize_t size = is_users(name) ? lgetxattr(path, name, value, VALUE_MAX) : -1;

		if (size >= 0)
			archive_entry_xattr_add_entry(entry, name, value, (size_t)size);
	}
	free(names);
	free(value);
}

void pack_user_attributes(struct archive_entry *entry)
{
	struct archive_entry *whole = archive_entry_clone(entry);
	const char *name;
	const void *value;
	size_t size;

	archive_entry_xattr_clear(entry);
	if (!whole)
		return;
	archive_entry_xattr_reset(whole);
	while (archive_entry_xattr_next(whole, &name, &value, &size) == ARCHIVE_OK) {
		if (name && is_users(name))
			archive_entry_xattr_add_entry(entry, name, value, size);
	}
	archive_entry_free(whole);
}

void pack_set_attributes(struct archive_entry *entry, int fd)
{
	const char *name;
	const void *value;
	size_t size;

	archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
		if (name && is_users(name))
			(void)fsetxattr(fd, name, value, size, 0);
	}
}

void pack_holes(struct archive_entry *entry, int fd)
{
	off_t size = archive_entry_size(entry), at = 0;
	int pieces = 0;

	while (at < size && pieces <= HOLES_MAX) {
		off_t data = lseek(fd, at, SEEK_DATA), hole;

		if (data < 0 || data >= size)
			break;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0 || hole > size)
			hole = size;
		if (data == 0 && hole == size)
			break;
		archive_entry_sparse_add_entry(entry, data, hole - data);
		pieces++;
		at = hole;
	}
	/* ENXIO: not a byte of data. Whoever cannot tell holes says EINVAL, or has none. */
	if (size && !pieces && lseek(fd, 0, SEEK_DATA) < 0 && errno == ENXIO)
		archive_entry_sparse_add_entry(entry, 0, 0);
	if (pieces > HOLES_MAX)
		archive_entry_sparse_clear(entry);
	(void)lseek(fd, 0, SEEK_SET);
}

static int write_zeroes(struct archive *archive, char *chunk, la_int64_t len)
{
	memset(chunk, 0, CHUNK);
	while (len > 0) {
		size_t count = len < CHUNK ? (size_t)len : CHUNK;

		if (archive_write_data(archive, chunk, count) < 0)
			return -EPIPE;
		len -= (la_int64_t)count;
	}
	return 0;
}

static int write_piece(struct archive *archive, int fd, char *chunk, la_int64_t at, la_int64_t len)
{
	while (len > 0) {
		ssize_t got = pread(fd, chunk, len < CHUNK ? (size_t)len : CHUNK, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		/* The pieces behind it keep their places. */
		if (!got)
			return write_zeroes(archive, chunk, len);
		if (archive_write_data(archive, chunk, (size_t)got) < 0)
			return -EPIPE;
		at += got;
		len -= got;
	}
	return 0;
}

int pack_body(struct archive *archive, struct archive_entry *entry, int fd)
{
	la_int64_t size = archive_entry_size(entry), at = 0, offset, len;
	char *chunk = malloc(CHUNK);
	int ret = chunk ? 0 : -ENOMEM;

	/* The library wants the zeroes of holes, too, and drops them. */
	if (!ret && archive_entry_sparse_reset(entry) == 0)
		ret = write_piece(archive, fd, chunk, 0, size);
	else
		while (!ret && archive_entry_sparse_next(entry, &offset, &len) == ARCHIVE_OK) {
			ret = write_zeroes(archive, chunk, offset - at);
			if (!ret)
				ret = write_piece(archive, fd, chunk, offset, len);
			at = offset + len;
		}
	free(chunk);
	return ret;
}
