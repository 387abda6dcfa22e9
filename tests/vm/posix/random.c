// SPDX-License-Identifier: GPL-2.0-or-later
// fs-random [-n CALLS] [-s SEED] [-l BYTES] FILE: random calls on one file, each checked against
// what memory says the file must be.
//
// The file is open twice and mapped once for the whole run, so that what comes by one way is asked
// for by another. The seed tells the calls: a failure prints it and the last of them. Exit status
// 0: all agreed.
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define N_LAST 24

struct run {
	const char *path;
	uint64_t state; /* of the random numbers */
	size_t max; /* the file is never longer */
	uint8_t *model; /* what it holds: zeroes from @size on */
	uint8_t *buffer;
	size_t size;
	int fds[2];
	uint8_t *map; /* of all of max, shared */
	long call;
	char last[N_LAST][96];
	uint32_t unsupported; /* bits of calls[] */
};

/* Where a call works. */
struct range {
	size_t at;
	size_t len;
};

static uint64_t number(struct run *run, uint64_t below)
{
	run->state ^= run->state << 13; /* xorshift64 */
	run->state ^= run->state >> 7;
	run->state ^= run->state << 17;
	return run->state % below;
}

static void fail(const struct run *run, const char *what)
{
	printf("not ok - call %ld: %s (%s)\n", run->call, what, strerror(errno));
	for (long i = run->call >= N_LAST ? run->call - N_LAST + 1 : 0; i <= run->call; i++)
		printf("# %s\n", run->last[i % N_LAST]);
	exit(1);
}

static void note(struct run *run, const char *what, struct range range)
{
	snprintf(run->last[run->call % N_LAST], sizeof(run->last[0]),
		 "%ld: %s at 0x%zx for 0x%zx, of 0x%zx", run->call, what, range.at, range.len,
		 run->size);
}

/* Somewhere below @limit; most are small, many begin or end with a page. */
static struct range pick(struct run *run, size_t limit)
{
	struct range range;

	range.at = number(run, limit);
	range.len = 1 + number(run, number(run, 4) ? 9000 : limit);
	if (!number(run, 4))
		range.at &= ~(size_t)4095;
	if (range.len > limit - range.at)
		range.len = limit - range.at;
	if (!number(run, 4) && range.len > 4096)
		range.len &= ~(size_t)4095;
	return range;
}

static int some_fd(struct run *run)
{
	return run->fds[number(run, 2)];
}

static void compare(const struct run *run, const uint8_t *got, struct range range)
{
	char text[96];
	size_t i = 0;

	if (!memcmp(got, run->model + range.at, range.len))
		return;
	while (got[i] == run->model[range.at + i])
		i++;
	snprintf(text, sizeof(text), "byte 0x%zx is %02x instead of %02x", range.at + i, got[i],
		 run->model[range.at + i]);
	errno = 0;
	fail(run, text);
}

static void set_size(struct run *run, size_t size)
{
	if (size < run->size)
		memset(run->model + size, 0, run->size - size);
	run->size = size;
}

/* New bytes for @range, in the buffer and the model. */
static void renew(struct run *run, struct range range)
{
	for (size_t i = 0; i < range.len; i++)
		run->buffer[i] = (uint8_t)(run->call + (long)i * 3 + (long)(i >> 8));
	memcpy(run->model + range.at, run->buffer, range.len);
	if (range.at + range.len > run->size)
		run->size = range.at + range.len;
}

static int do_read(struct run *run)
{
	struct range range = pick(run, run->max);
	size_t there = range.at >= run->size		  ? 0
		       : range.len > run->size - range.at ? run->size - range.at
							  : range.len;

	note(run, "read", range);
	if (pread(some_fd(run), run->buffer, range.len, (off_t)range.at) != (ssize_t)there)
		fail(run, "another number of bytes is read");
	range.len = there;
	compare(run, run->buffer, range);
	return 0;
}

static int do_write(struct run *run)
{
	struct range range = pick(run, run->max);
	size_t half = range.len / 2;
	struct iovec parts[2];

	note(run, "write", range);
	renew(run, range);
	parts[0] = (struct iovec){ run->buffer, half };
	parts[1] = (struct iovec){ run->buffer + half, range.len - half };
	if (pwritev(some_fd(run), parts, 2, (off_t)range.at) != (ssize_t)range.len)
		fail(run, "not all is written");
	return 0;
}

static int do_append(struct run *run)
{
	struct range range = { run->size, 1 + number(run, 9000) };
	int fd;

	if (range.len > run->max - range.at)
		return 0;
	note(run, "append", range);
	renew(run, range);
	fd = open(run->path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0 || write(fd, run->buffer, range.len) != (ssize_t)range.len || close(fd))
		fail(run, "not all is appended");
	return 0;
}

static int do_map_read(struct run *run)
{
	struct range range;

	if (!run->size)
		return 0;
	range = pick(run, run->size);
	note(run, "read mapped", range);
	memcpy(run->buffer, run->map + range.at, range.len);
	compare(run, run->buffer, range);
	return 0;
}

static int do_map_write(struct run *run)
{
	struct range range;

	if (!run->size)
		return 0;
	range = pick(run, run->size);
	note(run, "write mapped", range);
	renew(run, range);
	memcpy(run->map + range.at, run->buffer, range.len);
	return 0;
}

static int do_truncate(struct run *run)
{
	struct range range = { number(run, 8) ? number(run, run->max) : 0, 0 };

	note(run, "truncate", range);
	if (number(run, 2) ? ftruncate(some_fd(run), (off_t)range.at)
			   : truncate(run->path, (off_t)range.at))
		fail(run, "truncate");
	set_size(run, range.at);
	return 0;
}

/* As fallocate(2); without the size it becomes larger. */
static int allocate(struct run *run, const char *what, int mode, struct range range)
{
	note(run, what, range);
	if (fallocate(some_fd(run), mode, (off_t)range.at, (off_t)range.len)) {
		if (errno != EOPNOTSUPP)
			fail(run, what);
		return -EOPNOTSUPP;
	}
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		memset(run->model + range.at, 0, range.len);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && range.at + range.len > run->size)
		run->size = range.at + range.len;
	return 0;
}

static int do_punch(struct run *run)
{
	return allocate(run, "punch a hole", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			pick(run, run->max));
}

static int do_zero(struct run *run)
{
	int keep = number(run, 2) ? FALLOC_FL_KEEP_SIZE : 0;

	return allocate(run, keep ? "zero, size kept" : "zero", FALLOC_FL_ZERO_RANGE | keep,
			pick(run, run->max));
}

static int do_allocate(struct run *run)
{
	int keep = number(run, 2) ? FALLOC_FL_KEEP_SIZE : 0;

	return allocate(run, keep ? "allocate, size kept" : "allocate", keep, pick(run, run->max));
}

static int do_copy(struct run *run)
{
	struct range from;
	size_t to;
	off_t from_at;
	off_t to_at;

	if (run->size < 2)
		return 0;
	from = pick(run, run->size);
	to = number(run, run->max);
	if (from.len > run->max - to)
		from.len = run->max - to;
	if (to < from.at + from.len && from.at < to + from.len)
		return 0; /* they overlap */
	note(run, "copy from", from);
	from_at = (off_t)from.at;
	to_at = (off_t)to;
	for (size_t left = from.len; left;) {
		ssize_t n = copy_file_range(run->fds[0], &from_at, run->fds[1], &to_at, left, 0);

		if (n <= 0)
			fail(run, "copy_file_range");
		left -= (size_t)n;
	}
	memcpy(run->model + to, run->model + from.at, from.len);
	if (to + from.len > run->size)
		run->size = to + from.len;
	return 0;
}

static int do_sync(struct run *run)
{
	int which = (int)number(run, 3);

	note(run,
	     which == 0	  ? "fsync"
	     : which == 1 ? "msync"
			  : "fdatasync",
	     (struct range){ 0, 0 });
	if (which == 0	 ? fsync(some_fd(run))
	    : which == 1 ? msync(run->map, run->max, MS_SYNC)
			 : fdatasync(some_fd(run)))
		fail(run, "sync");
	return 0;
}

/* So that what is read next comes from the file system. */
static int do_forget(struct run *run)
{
	note(run, "drop the cache", (struct range){ 0, 0 });
	if (fsync(run->fds[0]) || posix_fadvise(run->fds[0], 0, 0, POSIX_FADV_DONTNEED))
		fail(run, "posix_fadvise");
	return 0;
}

static int do_reopen(struct run *run)
{
	int which = (int)number(run, 2);

	note(run, "close and open", (struct range){ 0, 0 });
	if (close(run->fds[which]))
		fail(run, "close");
	run->fds[which] = open(run->path, O_RDWR | O_CLOEXEC);
	if (run->fds[which] < 0)
		fail(run, "open");
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct run *run);
	uint8_t share; /* of 64 */
} calls[] = {
	{ "read", do_read, 14 },
	{ "write", do_write, 14 },
	{ "mapped read", do_map_read, 7 },
	{ "mapped write", do_map_write, 7 },
	{ "append", do_append, 3 },
	{ "truncate", do_truncate, 4 },
	{ "punch", do_punch, 3 },
	{ "zero", do_zero, 2 },
	{ "allocate", do_allocate, 2 },
	{ "copy_file_range", do_copy, 3 },
	{ "sync", do_sync, 2 },
	{ "forget", do_forget, 2 },
	{ "reopen", do_reopen, 1 },
};
#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

static void one_call(struct run *run)
{
	uint64_t at = number(run, 64);
	size_t i = 0;

	while (at >= calls[i].share)
		at -= calls[i++].share;
	note(run, "nothing", (struct range){ 0, 0 });
	if (!(run->unsupported & 1u << i) && calls[i].run(run) == -EOPNOTSUPP) {
		printf("# no %s here\n", calls[i].name);
		run->unsupported |= 1u << i;
	}
}

static void check_all(struct run *run)
{
	struct stat st;

	if (fstat(run->fds[0], &st))
		fail(run, "fstat");
	errno = 0;
	if ((size_t)st.st_size != run->size)
		fail(run, "fstat tells another size");
	if (run->call % 64)
		return;
	if (pread(run->fds[1], run->buffer, run->max, 0) != (ssize_t)run->size)
		fail(run, "the file has another size");
	compare(run, run->buffer, (struct range){ 0, run->size });
}

static void begin(struct run *run)
{
	for (int i = 0; i < 2; i++) {
		run->fds[i] =
			open(run->path, O_RDWR | O_CREAT | O_CLOEXEC | (i ? 0 : O_TRUNC), 0644);
		if (run->fds[i] < 0)
			fail(run, "open");
	}
	run->map = mmap(NULL, run->max, PROT_READ | PROT_WRITE, MAP_SHARED, run->fds[0], 0);
	run->model = calloc(run->max, 1);
	run->buffer = malloc(run->max);
	if (run->map == MAP_FAILED || !run->model || !run->buffer)
		fail(run, "no memory");
}

int main(int argc, char **argv)
{
	struct run run = { .max = 1 << 20, .state = 1 };
	long n = 20000;
	int option;

	while ((option = getopt(argc, argv, "n:s:l:")) != -1) {
		if (option == 'n')
			n = atol(optarg);
		else if (option == 's')
			run.state = strtoull(optarg, NULL, 0);
		else if (option == 'l')
			run.max = strtoull(optarg, NULL, 0);
		else
			return 2;
	}
	if (optind + 1 != argc || !run.max || !run.state) {
		fprintf(stderr, "usage: fs-random [-n CALLS] [-s SEED] [-l BYTES] FILE\n");
		return 2;
	}
	run.path = argv[optind];
	printf("# seed %llu, at most %zu bytes\n", (unsigned long long)run.state, run.max);
	begin(&run);
	for (run.call = 0; run.call < n; run.call++) {
		one_call(&run);
		check_all(&run);
	}
	printf("ok - %ld calls\n", n);
	return unlink(run.path) ? 1 : 0;
}
