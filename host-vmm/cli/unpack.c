// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Theory of operation: the setup header tells where in the protected-mode part the payload lies,
 * and how long it is. Its last four bytes are the unpacked size: gzip ends so by itself, and
 * behind the other kinds the kernel's build adds it, where it is no part of the stream
 * (Documentation/arch/x86/boot.rst, payload_offset and payload_length).
 */
#include "host-vmm/cli/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <asm/bootparam.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "host-vmm/boot/elf.h"
#include "protocol/lib/fd.h"

#define HEADER_AT     0x1f1
#define HEADER_MAGIC  0x53726448u /* "HdrS" */
#define VERSION_MIN   0x0208 /* of the boot protocol: payload_offset */
#define SECTOR	      512u
#define SETUP_DEFAULT 4u /* what 0 in setup_sects means */
#define SIZE_BYTES    4u
#define PAYLOAD_MIN   16u
#define PIECE	      65536u

struct payload {
	int fd;
	uint64_t at, end; /* what is still to be read */
	uint64_t size; /* unpacked */
	char piece[PIECE];
};

static bool read_at(int fd, void *buffer, size_t len, uint64_t at)
{
	return pread(fd, buffer, len, (off_t)at) == (ssize_t)len;
}

static int find_payload(int fd, struct payload *payload)
{
	struct setup_header header;
	uint32_t size;
	uint64_t start;
	uint8_t magic[2];

	if (!read_at(fd, &header, sizeof(header), HEADER_AT))
		return -ENOEXEC;
	if (header.header != HEADER_MAGIC || header.version < VERSION_MIN ||
	    header.payload_length < PAYLOAD_MIN)
		return -ENOEXEC;
	start = ((header.setup_sects ? header.setup_sects : SETUP_DEFAULT) + 1) * SECTOR;
	payload->fd = fd;
	payload->at = start + header.payload_offset;
	payload->end = payload->at + header.payload_length;
	if (!read_at(fd, magic, sizeof(magic), payload->at) ||
	    !read_at(fd, &size, SIZE_BYTES, payload->end - SIZE_BYTES))
		return -ENOEXEC;
	payload->size = le32toh(size);
	if (memcmp(magic, "\x1f\x8b", sizeof(magic)) != 0)
		payload->end -= SIZE_BYTES;
	return payload->size > 0 && payload->size <= UNPACK_MAX ? 0 : -ENOEXEC;
}

int unpack_size(int image, uint64_t *ret_size)
{
	struct payload payload;
	int ret = find_payload(image, &payload);

	if (!ret)
		*ret_size = payload.size;
	return ret;
}

static la_ssize_t read_piece(struct archive *archive, void *opaque, const void **ret_piece)
{
	struct payload *payload = opaque;
	uint64_t left = payload->end - payload->at;
	ssize_t got =
		pread(payload->fd, payload->piece, left < PIECE ? left : PIECE, (off_t)payload->at);

	if (got < 0) {
		archive_set_error(archive, errno, "cannot be read");
		return -1;
	}
	payload->at += (uint64_t)got;
	*ret_piece = payload->piece;
	return got;
}

static bool is_zero(const char *bytes, size_t len)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

/* Exactly @size bytes. */
static int copy_out(struct archive *archive, uint64_t size, int out)
{
	char piece[PIECE];
	uint64_t done = 0;
	la_ssize_t got;

	while ((got = archive_read_data(archive, piece, sizeof(piece))) > 0) {
		if ((uint64_t)got > size - done)
			return -ENOEXEC;
		if (is_zero(piece, (size_t)got)) {
			if (lseek(out, got, SEEK_CUR) < 0)
				return -errno;
		} else {
			int ret = fd_write_all(out, piece, (size_t)got);

			if (ret < 0)
				return ret;
		}
		done += (uint64_t)got;
	}
	if (got < 0 || done != size)
		return -ENOEXEC;
	return ftruncate(out, (off_t)size) < 0 ? -errno : 0;
}

static int unpack(struct payload *payload, int out)
{
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	int ret = -ENOEXEC;

	if (!archive)
		return -ENOMEM;
	archive_read_support_filter_all(archive);
	archive_read_support_format_raw(archive);
	if (archive_read_open(archive, payload, NULL, read_piece, NULL) == ARCHIVE_OK &&
	    archive_read_next_header(archive, &entry) == ARCHIVE_OK)
		ret = copy_out(archive, payload->size, out);
	archive_read_free(archive);
	return ret;
}

int unpack_kernel(int image, int out)
{
	struct payload payload;
	const char *why;
	int ret;

	ret = find_payload(image, &payload);
	if (!ret)
		ret = unpack(&payload, out);
	if (!ret && elf_check(out, payload.size, &why) < 0)
		ret = -ENOEXEC;
	return ret;
}
