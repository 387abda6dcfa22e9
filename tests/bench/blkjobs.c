// SPDX-License-Identifier: GPL-2.0-or-later
// Disk jobs: direct requests of a size, at a depth, in order or at random, by Linux's native AIO.
#include "tests/bench/job.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEPTH_MAX 32

struct pattern {
	bool write;
	bool random;
	size_t size;
	unsigned int depth;
	unsigned int requests;
};

struct flight {
	aio_context_t context;
	struct iocb iocbs[DEPTH_MAX];
	char *buffers;
	uint64_t device_size;
	uint64_t seed;
	uint64_t next;
	int fd;
};

static int submit(struct flight *f, const struct pattern *p, unsigned int slot)
{
	struct iocb *cb = &f->iocbs[slot];
	uint64_t block = p->random ? next_random(&f->seed) : f->next++;

	*cb = (struct iocb){
		.aio_data = slot,
		.aio_lio_opcode = p->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
		.aio_fildes = (unsigned int)f->fd,
		.aio_buf = (uintptr_t)(f->buffers + slot * p->size),
		.aio_nbytes = p->size,
		.aio_offset = (long long)(block % (f->device_size / p->size) * p->size),
	};
	return 0;
}

/* Gives the kernel the n slots listed, in one call as fio's iodepth_batch would. */
static int push(struct flight *f, struct iocb **list, long n)
{
	while (n > 0) {
		long done = syscall(SYS_io_submit, f->context, n, list);

		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		list += done;
		n -= done;
	}
	return 0;
}

static int run_flight(struct flight *f, const struct pattern *p)
{
	struct io_event events[DEPTH_MAX];
	struct iocb *list[DEPTH_MAX];
	unsigned int started = 0, ended = 0, n = 0;
	int ret;

	while (started < p->depth) {
		submit(f, p, started);
		list[started] = &f->iocbs[started];
		started++;
	}
	ret = push(f, list, started);
	while (ret == 0 && ended < p->requests) {
		long got = syscall(SYS_io_getevents, f->context, 1, DEPTH_MAX, events, NULL);

		if (got < 0)
			return -errno;
		n = 0;
		for (long i = 0; i < got; i++) {
			if (events[i].res != (long long)p->size)
				return events[i].res < 0 ? (int)events[i].res : -EIO;
			if (started < p->requests) {
				submit(f, p, (unsigned int)events[i].data);
				list[n++] = &f->iocbs[events[i].data];
				started++;
			}
		}
		ended += (unsigned int)got;
		ret = push(f, list, n);
	}
	return ret;
}

static int run_pattern(const char *device, const struct pattern *p, struct job_result *r)
{
	struct flight f = { .seed = 42 };
	int ret = 0;
	double t;

	f.fd = open(device, (p->write ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	if (f.fd < 0)
		return -errno;
	if (ioctl(f.fd, BLKGETSIZE64, &f.device_size) < 0 ||
	    posix_memalign((void **)&f.buffers, 4096, p->depth * p->size) ||
	    syscall(SYS_io_setup, DEPTH_MAX, &f.context) < 0) {
		ret = errno ? -errno : -ENOMEM;
		goto out;
	}
	memset(f.buffers, 0xa5, p->depth * p->size);
	t = now();
	ret = run_flight(&f, p);
	*r = (struct job_result){ p->requests, now() - t };
	syscall(SYS_io_destroy, f.context);
out:
	free(f.buffers);
	close(f.fd);
	return ret;
}

#define PATTERN(function, ...)                                        \
	static int function(const char *device, struct job_result *r) \
	{                                                             \
		static const struct pattern p = { __VA_ARGS__ };      \
		return run_pattern(device, &p, r);                    \
	}

PATTERN(read_seq1, .size = 131072, .depth = 1, .requests = 200)
PATTERN(read_seq32, .size = 131072, .depth = 32, .requests = 400)
PATTERN(write_seq32, .write = true, .size = 131072, .depth = 32, .requests = 400)
PATTERN(read_rand1, .random = true, .size = 4096, .depth = 1, .requests = 600)
PATTERN(read_rand32, .random = true, .size = 4096, .depth = 32, .requests = 3200)
PATTERN(write_rand32, .write = true, .random = true, .size = 4096, .depth = 32, .requests = 3200)

const struct job blk_jobs[] = {
	{ "blk.read-seq-qd1", "requests", read_seq1 },
	{ "blk.read-seq-qd32", "requests", read_seq32 },
	{ "blk.write-seq-qd32", "requests", write_seq32 },
	{ "blk.read-4k-qd1", "requests", read_rand1 },
	{ "blk.read-4k-qd32", "requests", read_rand32 },
	{ "blk.write-4k-qd32", "requests", write_rand32 },
	{ NULL, NULL, NULL },
};
