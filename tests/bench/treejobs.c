// SPDX-License-Identifier: GPL-2.0-or-later
// File system jobs of a working day: trees by programs that people use, many names, several readers
// at a time. The driver makes tree, untar.tar and many on the host, where it takes no time.
#include "tests/bench/treejobs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK	    (128u << 10)
#define READERS	    8
#define READER_SIZE (3u << 20) /* of each reader's own file */

/* Runs a program to its end, without its output. -EIO where it fails. */
static int run_program(const char *const *argv)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* A number that the driver left in dir/name. */
static int read_count(const char *dir, const char *name, uint64_t *ret_count)
{
	char path[512], text[32] = "";
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	*ret_count = strtoull(text, NULL, 10);
	return n > 0 && *ret_count ? 0 : -EINVAL;
}

int job_git_status(const char *dir, struct job_result *r)
{
	char tree[512];
	const char *const argv[] = { "git", "-c", "safe.directory=*", "-c",	     "gc.auto=0",
				     "-C",  tree, "status",	      "--porcelain", NULL };
	uint64_t count;
	double t;
	int ret;

	snprintf(tree, sizeof(tree), "%s/tree", dir);
	ret = read_count(dir, "tree.count", &count);
	if (ret)
		return ret;
	drop_caches();
	t = now();
	ret = run_program(argv);
	*r = (struct job_result){ count, now() - t };
	return ret;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

int job_untar(const char *dir, struct job_result *r)
{
	char archive[512], target[512];
	const char *const argv[] = { "tar", "-xf", archive, "-C", target, NULL };
	uint64_t count;
	double t;
	int ret;

	snprintf(archive, sizeof(archive), "%s/untar.tar", dir);
	snprintf(target, sizeof(target), "%s/untarred", dir);
	ret = read_count(dir, "untar.count", &count);
	if (ret)
		return ret;
	nftw(target, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (mkdir(target, 0755) < 0)
		return -errno;
	drop_caches();
	t = now();
	ret = run_program(argv);
	*r = (struct job_result){ count, now() - t };
	return ret;
}

int job_create_many(const char *dir, struct job_result *r)
{
	char path[512];
	uint64_t count = 0;
	double t;
	int ret = read_count(dir, "created.count", &count);

	if (ret)
		return ret;
	snprintf(path, sizeof(path), "%s/created", dir);
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (mkdir(path, 0755) < 0)
		return -errno;
	drop_caches();
	t = now();
	for (uint64_t i = 0; ret == 0 && i < count; i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/created/c%05llu", dir, (unsigned long long)i);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0)
			ret = -errno;
		else
			close(fd);
	}
	*r = (struct job_result){ count, now() - t };
	return ret;
}

static const char *reader_path(char path[512], const char *dir, int reader)
{
	snprintf(path, 512, "%s/reader%d", dir, reader);
	return path;
}

static int make_reader_file(const char *path, char *block)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int ret = 0;

	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	memset(block, 0x5a, BLOCK);
	for (size_t done = 0; ret == 0 && done < READER_SIZE; done += BLOCK)
		if (write(fd, block, BLOCK) != BLOCK)
			ret = -EIO;
	close(fd);
	return ret;
}

static int read_all(const char *path, char *block)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, block, BLOCK)) > 0)
		done += (size_t)n;
	close(fd);
	return done == READER_SIZE ? 0 : -EIO;
}

static int start_readers(const char *dir, char *block, pid_t pids[READERS])
{
	char path[512];

	for (int i = 0; i < READERS; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			return -errno;
		if (pids[i] == 0)
			_exit(read_all(reader_path(path, dir, i), block) ? 1 : 0);
	}
	return 0;
}

/* Waits for these alone: process 1 has other children, which stay. */
static int wait_for_readers(const pid_t pids[READERS])
{
	int ret = 0, status;

	for (int i = 0; i < READERS && pids[i] > 0; i++)
		if (waitpid(pids[i], &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
			ret = -EIO;
	return ret;
}

int job_readers(const char *dir, struct job_result *r)
{
	char *block = malloc(BLOCK), path[512];
	pid_t pids[READERS] = { 0 };
	int ret = block ? 0 : -ENOMEM, failed;
	double t;

	for (int i = 0; ret == 0 && i < READERS; i++)
		ret = make_reader_file(reader_path(path, dir, i), block);
	if (ret == 0)
		drop_caches();
	t = now();
	if (ret == 0)
		ret = start_readers(dir, block, pids);
	failed = wait_for_readers(pids);
	*r = (struct job_result){ (uint64_t)READERS * READER_SIZE, now() - t };
	free(block);
	return ret ? ret : failed;
}
