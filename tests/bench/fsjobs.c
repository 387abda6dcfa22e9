// SPDX-License-Identifier: GPL-2.0-or-later
// File system jobs: data by blocks, at random and mapped; names created, looked up, listed,
// removed. Sizes are such that each takes about a second through virtiofs in the lab.
#include "tests/bench/treejobs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA_SIZE    (16u << 20)
#define BLOCK_SIZE   (128u << 10)
#define PAGE	     4096u
#define DATA_WORD    0x5a5a5a5a5a5a5a5aull
#define RANDOM_READS 1000
#define SMALL_FILES  400
#define SMALL_SIZE   1024
#define NEW_FILES    150
#define MANY_FILES   10000

/* An open descriptor of dir/name, or a negative errno. */
static int open_in(const char *dir, const char *name, int flags)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, flags | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : fd;
}

static int write_file(const char *dir, const char *name, size_t size, size_t block)
{
	char *buf = malloc(block);
	int fd = open_in(dir, name, O_WRONLY | O_CREAT | O_TRUNC);
	int ret = fd < 0 ? fd : 0;

	if (buf)
		memset(buf, 0x5a, block);
	else
		ret = -ENOMEM;
	for (size_t done = 0; ret == 0 && done < size; done += block)
		if (write(fd, buf, block) != (ssize_t)block)
			ret = errno ? -errno : -EIO;
	if (fd >= 0 && close(fd) < 0 && ret == 0)
		ret = -errno;
	free(buf);
	return ret;
}

static const char *small_name(char buf[32], const char *prefix, int i)
{
	snprintf(buf, 32, "%s%04d", prefix, i);
	return buf;
}

/* A folder of MANY_FILES empty files, unless somebody made it before (the driver does, on the
 * host, where it takes no time). */
static int make_many(const char *dir)
{
	char path[256], name[32];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "%s/many", dir);
	if (mkdir(path, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	for (int i = 0; ret == 0 && i < MANY_FILES; i++) {
		fd = open_in(path, small_name(name, "m", i), O_WRONLY | O_CREAT);
		if (fd < 0)
			ret = fd;
		else
			close(fd);
	}
	return ret;
}

void drop_caches(void)
{
	int fd;

	sync();
	fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "3", 1) < 0)
			perror("drop_caches");
		close(fd);
	}
}

int fs_prepare(const char *dir)
{
	char path[512], name[48];
	struct stat st;
	int ret = 0;

	snprintf(path, sizeof(path), "%s/data", dir);
	if (stat(path, &st) < 0 || st.st_size != DATA_SIZE)
		ret = write_file(dir, "data", DATA_SIZE, BLOCK_SIZE);
	snprintf(path, sizeof(path), "%s/small", dir);
	if (mkdir(path, 0755) < 0)
		return errno != EEXIST ? -errno : ret ? ret : make_many(dir);
	for (int i = 0; ret == 0 && i < SMALL_FILES; i++)
		ret = write_file(path, small_name(name, "s", i), SMALL_SIZE, SMALL_SIZE);
	snprintf(path, sizeof(path), "%s/new", dir);
	if (ret == 0 && mkdir(path, 0755) < 0 && errno != EEXIST)
		ret = -errno;
	return ret ? ret : make_many(dir);
}

static int job_write(const char *dir, struct job_result *r)
{
	double t = now();
	int ret = write_file(dir, "written", DATA_SIZE, BLOCK_SIZE);

	*r = (struct job_result){ DATA_SIZE, now() - t };
	return ret;
}

static int job_read(const char *dir, struct job_result *r)
{
	char *buf = malloc(BLOCK_SIZE);
	int ret = 0, fd;
	double t;

	if (!buf)
		return -ENOMEM;
	drop_caches();
	t = now();
	fd = open_in(dir, "data", O_RDONLY);
	for (size_t done = 0; fd >= 0 && ret == 0 && done < DATA_SIZE; done += BLOCK_SIZE)
		if (read(fd, buf, BLOCK_SIZE) != BLOCK_SIZE)
			ret = errno ? -errno : -EIO;
	*r = (struct job_result){ DATA_SIZE, now() - t };
	free(buf);
	if (fd < 0)
		return fd;
	close(fd);
	return ret;
}

static int job_random(const char *dir, struct job_result *r)
{
	uint64_t seed = 42;
	char buf[PAGE];
	int fd, ret = 0;
	double t;

	drop_caches();
	fd = open_in(dir, "data", O_RDONLY);
	if (fd < 0)
		return fd;
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	t = now();
	for (int i = 0; ret == 0 && i < RANDOM_READS; i++) {
		off_t at = (off_t)(next_random(&seed) % (DATA_SIZE / PAGE) * PAGE);

		if (pread(fd, buf, PAGE, at) != PAGE)
			ret = errno ? -errno : -EIO;
	}
	*r = (struct job_result){ RANDOM_READS, now() - t };
	close(fd);
	return ret;
}

/* Maps the data, reads a word of each step bytes, and unmaps it again. */
static int read_mapped(const char *dir, size_t step, struct job_result *r)
{
	const uint64_t *map;
	uint64_t all = ~0ull, any = 0;
	double t = now();
	int fd = open_in(dir, "data", O_RDONLY);

	if (fd < 0)
		return fd;
	map = mmap(NULL, DATA_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return -errno;
	for (size_t at = 0; at < DATA_SIZE / sizeof(*map); at += step / sizeof(*map)) {
		all &= map[at];
		any |= map[at];
	}
	munmap((void *)(uintptr_t)map, DATA_SIZE);
	*r = (struct job_result){ DATA_SIZE, now() - t };
	return all == DATA_WORD && any == DATA_WORD ? 0 : -EIO;
}

static int job_mapped(const char *dir, struct job_result *r)
{
	drop_caches();
	return read_mapped(dir, PAGE, r);
}

static int job_mapped_read(const char *dir, struct job_result *r)
{
	drop_caches();
	return read_mapped(dir, sizeof(uint64_t), r);
}

/* As the second program that maps a library does. */
static int job_mapped_again(const char *dir, struct job_result *r)
{
	int ret;

	drop_caches();
	ret = read_mapped(dir, sizeof(uint64_t), r);
	return ret ? ret : read_mapped(dir, sizeof(uint64_t), r);
}

/* Calls one for each of n names of dir/sub; *r is the time of all. */
static int each_name(const char *dir, const char *sub, const char *prefix, int n,
		     int (*one)(const char *path), struct job_result *r)
{
	char path[512], name[32];
	double t = now();
	int ret = 0;

	for (int i = 0; ret == 0 && i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", dir, sub, small_name(name, prefix, i));
		ret = one(path);
	}
	*r = (struct job_result){ (uint64_t)n, now() - t };
	return ret;
}

static int create_one(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int unlink_one(const char *path)
{
	return unlink(path) < 0 ? -errno : 0;
}

static int stat_one(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	return st.st_size == SMALL_SIZE ? 0 : -EIO;
}

static int open_read_close_one(const char *path)
{
	char buf[PAGE];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, sizeof(buf));
	close(fd);
	return n == SMALL_SIZE ? 0 : -EIO;
}

static int job_create(const char *dir, struct job_result *r)
{
	struct job_result ignored;

	each_name(dir, "new", "n", NEW_FILES, unlink_one, &ignored);
	drop_caches();
	return each_name(dir, "new", "n", NEW_FILES, create_one, r);
}

static int job_unlink(const char *dir, struct job_result *r)
{
	struct job_result ignored;

	each_name(dir, "new", "n", NEW_FILES, create_one, &ignored);
	drop_caches();
	return each_name(dir, "new", "n", NEW_FILES, unlink_one, r);
}

static int job_stat(const char *dir, struct job_result *r)
{
	drop_caches();
	return each_name(dir, "small", "s", SMALL_FILES, stat_one, r);
}

static int job_open_read_close(const char *dir, struct job_result *r)
{
	drop_caches();
	return each_name(dir, "small", "s", SMALL_FILES, open_read_close_one, r);
}

/* Lists dir/sub and, where @stats is set, looks at each file, as ls -l does. */
static int list(const char *dir, const char *sub, bool stats, uint64_t *ret_count)
{
	const struct dirent *e;
	uint64_t count = 0;
	char path[512];
	int ret = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", dir, sub);
	d = opendir(path);
	if (!d)
		return -errno;
	while (ret == 0 && (e = readdir(d))) {
		struct stat st;

		if (e->d_name[0] == '.')
			continue;
		count++;
		if (stats && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			ret = -errno;
	}
	closedir(d);
	*ret_count = count;
	return ret;
}

static int timed_list(const char *dir, const char *sub, bool stats, uint64_t expected,
		      struct job_result *r)
{
	double t = now();
	uint64_t count = 0;
	int ret = list(dir, sub, stats, &count);

	*r = (struct job_result){ count, now() - t };
	return ret == 0 && count != expected ? -EIO : ret;
}

static int job_readdir(const char *dir, struct job_result *r)
{
	drop_caches();
	return timed_list(dir, "many", false, MANY_FILES, r);
}

/* The second listing of a folder that nobody changed. */
static int job_readdir_again(const char *dir, struct job_result *r)
{
	uint64_t ignored;
	int ret;

	drop_caches();
	ret = list(dir, "many", false, &ignored);
	return ret ? ret : timed_list(dir, "many", false, MANY_FILES, r);
}

static int job_ls(const char *dir, struct job_result *r)
{
	drop_caches();
	return timed_list(dir, "small", true, SMALL_FILES, r);
}

static int job_ls_many(const char *dir, struct job_result *r)
{
	drop_caches();
	return timed_list(dir, "many", true, MANY_FILES, r);
}

const struct job fs_jobs[] = {
	{ "fs.write", "bytes", job_write },
	{ "fs.read", "bytes", job_read },
	{ "fs.rand4k", "reads", job_random },
	{ "fs.mmap", "bytes", job_mapped },
	{ "fs.mmap-read", "bytes", job_mapped_read },
	{ "fs.mmap-again", "bytes", job_mapped_again },
	{ "fs.create", "files", job_create },
	{ "fs.stat", "files", job_stat },
	{ "fs.open", "files", job_open_read_close },
	{ "fs.readdir", "names", job_readdir },
	{ "fs.readdir-again", "names", job_readdir_again },
	{ "fs.ls", "names", job_ls },
	{ "fs.unlink", "files", job_unlink },
	{ "fs.ls-many", "names", job_ls_many },
	{ "fs.create-many", "files", job_create_many },
	{ "fs.git-status", "files", job_git_status },
	{ "fs.untar", "files", job_untar },
	{ "fs.readers", "bytes", job_readers },
	{ NULL, NULL, NULL },
};
