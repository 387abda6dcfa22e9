// SPDX-License-Identifier: GPL-2.0-or-later
// The file that the monitors of one user share: a row each, locked by whose it is.
#include "host-vmm/memory-policy/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/lib/fd.h"

#define MAGIC 0x656d6c6f64676531ull

/* In this host's byte order: nobody else reads it. */
struct row {
	uint64_t magic;
	uint64_t told_ms; /* CLOCK_MONOTONIC; 0: nobody's */
	uint64_t spare, need;
};

struct memory_table {
	int fd;
	unsigned int mine;
};

static off_t offset_of(unsigned int row)
{
	return (off_t)(row * sizeof(struct row));
}

static int lock_row(int fd, unsigned int row)
{
	/* Of the open file, not of the process: two machines of one process have two rows. */
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = offset_of(row),
		.l_len = sizeof(struct row),
	};

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

static int take_row(int fd, unsigned int *ret_row)
{
	for (unsigned int i = 0; i < MEMORY_TABLE_ROWS; i++) {
		int ret = lock_row(fd, i);

		if (ret == 0)
			*ret_row = i;
		if (ret != -EAGAIN && ret != -EACCES)
			return ret;
	}
	return -ENOSPC;
}

static int check_file(int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077))
		return -EPERM;
	return 0;
}

int memory_table_open(const char *path, struct memory_table **ret_table)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct memory_table *table;
	unsigned int mine = 0;
	int ret;

	if (fd < 0)
		return -errno;
	ret = check_file(fd);
	if (ret == 0)
		ret = take_row(fd, &mine);
	if (ret < 0)
		goto close_file;
	table = calloc(1, sizeof(*table));
	if (!table) {
		ret = -ENOMEM;
		goto close_file;
	}
	table->fd = fd;
	table->mine = mine;
	*ret_table = table;
	return 0;
close_file:
	close(fd);
	return ret;
}

void memory_table_close(struct memory_table *table)
{
	static const struct row nobody;

	if (!table)
		return;
	(void)!pwrite(table->fd, &nobody, sizeof(nobody), offset_of(table->mine));
	fd_close(&table->fd);
	free(table);
}

int memory_table_tell(struct memory_table *table, const struct memory_share *share, uint64_t now_ms)
{
	const struct row row = { MAGIC, now_ms, share->spare, share->need };
	ssize_t n = pwrite(table->fd, &row, sizeof(row), offset_of(table->mine));

	return n == sizeof(row) ? 0 : n < 0 ? -errno : -EIO;
}

/* A row that is being written while it is read may be half old: each half is bounded by itself. */
static bool is_good(const struct row *row, uint64_t now_ms)
{
	return row->magic == MAGIC && row->told_ms <= now_ms &&
	       now_ms - row->told_ms <= MEMORY_TABLE_FRESH_MS &&
	       row->spare <= MEMORY_TABLE_VALUE_MAX && row->need <= MEMORY_TABLE_VALUE_MAX;
}

void memory_table_read(const struct memory_table *table, uint64_t now_ms,
		       struct memory_share *ret_others)
{
	struct row rows[MEMORY_TABLE_ROWS] = { 0 };
	ssize_t n = pread(table->fd, rows, sizeof(rows), 0);

	*ret_others = (struct memory_share){ 0 };
	for (unsigned int i = 0; n > 0 && i < (size_t)n / sizeof(rows[0]); i++) {
		if (i == table->mine || !is_good(&rows[i], now_ms))
			continue;
		ret_others->spare += rows[i].spare;
		ret_others->need += rows[i].need;
	}
}
