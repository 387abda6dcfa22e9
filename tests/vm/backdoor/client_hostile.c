// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * backdoor-client: what a program must not be able to do to the kernel, or to others, by
 * /dev/lodge: wrong frames, wrong pointers, every ioctl, floods. And, since it counts the same
 * things, how many round trips go.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/vm/backdoor/client.h"

#define KERNEL_POINTER ((void *)0xffff888000000000ul)

static struct message scratch;

/* The compiler would say that these sizes cannot be right. */
static ssize_t write_any(int fd, const void *from, volatile size_t size)
{
	return write(fd, from, size);
}

static void hostile_ioctls(void)
{
	int fd = open_dev(0);
	void *const pointers[] = { NULL, (char *)&scratch + 1, &scratch, KERNEL_POINTER };
	unsigned int number, size, direction, pointer, type, bad = 0;
	const char types[] = { 0, 'T', 'l', (char)0xff };
	const unsigned int sizes[] = { 0, 1, 24, 4096, 0x3fff };

	for (type = 0; type < sizeof(types); type++)
		for (number = 0; number < 256; number++)
			for (size = 0; size < 5; size++)
				for (direction = 0; direction < 4; direction++)
					for (pointer = 0; pointer < 4; pointer++)
						bad += ioctl(fd,
							     _IOC(direction, types[type], number,
								  sizes[size]),
							     pointers[pointer]) != -1 ||
						       errno != ENOTTY;
	/* Those of every file, which the kernel answers itself: FIONBIO and its like have type T.
	 */
	close(fd);
	check(bad <= 6 * 4, "%u of 81,920 ioctls are anything but ENOTTY", bad);
}

static ssize_t write_changed(int fd, size_t size, void (*change)(struct lodge_rpc_header *header))
{
	scratch.header =
		make_header(LODGE_RPC_REQUEST, (uint32_t)(size - sizeof(scratch.header)), 1);
	memset(scratch.payload, 'x', sizeof(scratch.payload));
	if (change)
		change(&scratch.header);
	return write(fd, &scratch, size);
}

#define CHANGE(name, line)                                \
	static void name(struct lodge_rpc_header *header) \
	{                                                 \
		line;                                     \
	}
CHANGE(magic, header->magic ^= 1)
CHANGE(size_less, header->size--)
CHANGE(size_more, header->size++)
CHANGE(size_huge, header->size = UINT32_MAX)
CHANGE(size_wraps, header->size = UINT32_MAX - 23)
CHANGE(flag_busy, header->flags = LODGE_RPC_F_BUSY)
CHANGE(flag_end, header->flags = LODGE_RPC_F_END)
CHANGE(flag_none, header->flags = 0x8000)
CHANGE(reply_none, header->reply_max = 0)
CHANGE(reply_small, header->reply_max = 63)
CHANGE(reply_large, header->reply_max = LODGE_RPC_PAYLOAD_MAX + 1)
CHANGE(reply_huge, header->reply_max = UINT32_MAX)
CHANGE(result_reply, header->type = LODGE_RPC_RESULT)
CHANGE(credit_large, header->type = LODGE_RPC_CREDIT; header->reply_max = 0)

static const struct {
	const char *name;
	void (*change)(struct lodge_rpc_header *header);
} changes[] = {
	{ "magic", magic },
	{ "size one less", size_less },
	{ "size one more", size_more },
	{ "size 2^32-1", size_huge },
	{ "size that wraps", size_wraps },
	{ "BUSY", flag_busy },
	{ "END of a request", flag_end },
	{ "unknown flag", flag_none },
	{ "reply_max 0", reply_none },
	{ "reply_max 63", reply_small },
	{ "reply_max above 1 MiB", reply_large },
	{ "reply_max 2^32-1", reply_huge },
	{ "reply_max of a result", result_reply },
	{ "credit of 8 bytes", credit_large },
};

static void hostile_frames(int fd)
{
	const uint16_t types[] = {
		0, LODGE_RPC_REPLY, LODGE_RPC_COMMAND, LODGE_RPC_CLOSE, 9, 0xffff
	};
	char payload[8] = "";
	unsigned int i, bad = 0;
	size_t size;

	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		check_errno(write_changed(fd, 32, changes[i].change), EINVAL, changes[i].name);
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		bad += send_frame(fd, types[i], 1, payload, sizeof(payload)) != -EINVAL;
	for (size = 0; size < LODGE_RPC_HEADER_SIZE; size++)
		bad += write(fd, &scratch, size) != -1 || errno != EINVAL;
	check(bad == 0, "%u of 6 types and 24 short writes are anything but EINVAL", bad);
	check(send_frame(fd, LODGE_RPC_DATA, 1, scratch.payload, LODGE_RPC_DATA_MAX + 1) ==
		      -EMSGSIZE,
	      "data above 64 KiB: EMSGSIZE");
	check_errno(write_any(fd, &scratch, sizeof(scratch.header) + LODGE_RPC_PAYLOAD_MAX + 1),
		    EMSGSIZE, "a frame above 1 MiB");
	check_errno(write_any(fd, &scratch, SIZE_MAX / 4), EFAULT, "a write of 2^62 bytes");
}

static void hostile_pointers(int fd)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct lodge_rpc_header header = make_header(LODGE_RPC_REQUEST, 100, 1);
	unsigned int i, bad = 0;
	void *const pointers[] = { NULL, (void *)1, KERNEL_POINTER, (void *)-1l,
				   (void *)0x7fffffffffff };

	if (pages == MAP_FAILED || munmap(pages + 4096, 4096)) {
		check(false, "mmap: %s", strerror(errno));
		return;
	}
	for (i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++)
		bad += write_any(fd, pointers[i], 100) != -1 || errno != EFAULT;
	check(bad == 0, "%u of 5 bad pointers are written from", bad);
	memcpy(pages + 4096 - 50, &header, sizeof(header));
	check_errno(write_any(fd, pages + 4096 - 50, 124), EFAULT, "a payload that ends early");

	check(send_request(fd, 3, "info-get guestinfo.basic") > 0, "a request");
	for (i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

		poll(&poll_fd, 1, 5000);
		bad += read(fd, pointers[i], 4096) != -1 || errno != EFAULT;
	}
	bad += read(fd, pages + 4096 - 26, 4096) != -1 || errno != EFAULT;
	check(bad == 0, "%u of 6 bad pointers are read to", bad);
	check(receive(fd, &scratch) == 0 && scratch.header.tag == 3,
	      "and the reply is still there");
	check_errno(lseek(fd, 0, SEEK_SET), ESPIPE, "lseek");
	check_errno(pread(fd, &scratch, sizeof(scratch), 0), ESPIPE, "pread");
	check_errno(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0, ENODEV,
		    "mmap");
}

static void on_alarm(int number)
{
	(void)number;
}

void test_hostile(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct message *message = malloc(sizeof(*message));
	int fd = open_dev(0);

	if (!message)
		return;
	hostile_frames(fd);
	hostile_ioctls();
	hostile_pointers(fd);
	sigaction(SIGALRM, &action, NULL);
	alarm(1);
	check(receive(fd, message) == -EINTR, "a signal ends a read");
	check(hello(fd, "cli") && ask(fd, "info-get guestinfo.basic", 24, "1 17", message),
	      "after all that the session works: %s", message->payload);
	close(fd);
	free(message);
}

/* kB of the kernel's memory that cannot be reclaimed */
static long kernel_memory(void)
{
	char line[128];
	long sum = 0, kb;
	FILE *file = fopen("/proc/meminfo", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "SUnreclaim: %ld", &kb) == 1 ||
		    sscanf(line, "VmallocUsed: %ld", &kb) == 1)
			sum += kb;
	if (file)
		fclose(file);
	return sum;
}

static void flood_one(unsigned int *ret_accepted, int *ret_error)
{
	int fd = open_dev(O_NONBLOCK);
	unsigned int n = 0;
	ssize_t got;

	do {
		got = send_request(fd, n, "info-get guestinfo.basic");
	} while (got > 0 && ++n < 1000);
	*ret_accepted = n;
	*ret_error = got < 0 ? (int)-got : 0;
	close(fd);
}

static void flood_large(void)
{
	int fd = open_dev(0);
	unsigned int n = 0;

	scratch.header = make_header(LODGE_RPC_REQUEST, LODGE_RPC_PAYLOAD_MAX, 1);
	scratch.header.reply_max = LODGE_RPC_PAYLOAD_MAX;
	while (write(fd, &scratch, sizeof(scratch.header) + LODGE_RPC_PAYLOAD_MAX) > 0 && n < 100)
		n++;
	check(n == 1 && errno == EBUSY, "%u requests of 1 MiB with replies of 1 MiB at once: %s", n,
	      strerror(errno));
	close(fd);
}

void test_flood(void)
{
	struct message message;
	unsigned int accepted, round, i;
	long before, after;
	int error, fd;

	flood_one(&accepted, &error);
	check(accepted == LODGE_RPC_REQUESTS_MAX && error == EBUSY,
	      "%u requests without a read: %s", accepted, strerror(error));
	flood_large();
	before = kernel_memory();
	for (round = 0; round < 300; round++) {
		flood_one(&accepted, &error);
		fd = open_dev(O_NONBLOCK);
		for (i = 0; i < 100; i++)
			send_frame(fd, LODGE_RPC_DATA, i, scratch.payload, 4096);
		close(fd);
	}
	after = kernel_memory();
	check(after - before < 4096, "after 32,400 frames the kernel has %ld kB more",
	      after - before);
	fd = open_dev(0);
	check(hello(fd, "cli") && ask(fd, "info-get guestinfo.basic", 24, "1 17", &message),
	      "and others are served");
	close(fd);
}

void test_speed(void)
{
	const char *count = getenv("COUNT");
	unsigned int i, good = 0, n = count ? (unsigned int)atoi(count) : 500;
	char text[64 + 1] = "info-get guestinfo.basic";
	struct timespec start, end;
	struct message message;
	double us;
	int fd = open_dev(0);

	memset(text + strlen(text), ' ', 64 - strlen(text));
	good += hello(fd, "cli");
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (i = 0; i < n; i++)
		good += ask(fd, text, 64, "", &message);
	clock_gettime(CLOCK_MONOTONIC, &end);
	us = (double)(end.tv_sec - start.tv_sec) * 1e6 +
	     (double)(end.tv_nsec - start.tv_nsec) / 1e3;
	check(good == n + 1, "%u round trips of 64 bytes, %.1f us each", n, us / n);
	close(fd);
}

static bool sane_reply(const struct message *message)
{
	return message->header.type >= LODGE_RPC_REPLY && message->header.type <= LODGE_RPC_CLOSE &&
	       message->header.session < LODGE_RPC_SESSIONS_MAX && message->header.reply_max == 0 &&
	       (message->header.type != LODGE_RPC_REPLY ||
		!strncmp(message->payload, "1 fine", 6) ||
		!strcmp(message->payload, "0 no reply from the host"));
}

/* One open, some frames each way, and what may come of them. False: something that may not. */
static bool fuzz_session(unsigned int seed, unsigned int *counts)
{
	struct pollfd poll_fd = { .fd = open(DEV, O_RDWR | O_NONBLOCK), .events = POLLIN };
	unsigned int i, frames = 1 + seed % 12;
	bool good = true;

	if (poll_fd.fd < 0)
		return errno == EBUSY || errno == ENODEV;
	for (i = 0; i < frames && good; i++) {
		uint16_t type = (seed >> i) & 3 ? LODGE_RPC_REQUEST : LODGE_RPC_DATA;
		ssize_t got = send_frame(poll_fd.fd, type, i, scratch.payload, seed % 5000);

		good = got > 0 || got == -EBUSY || got == -EAGAIN || got == -ECONNRESET ||
		       got == -EPIPE || got == -ENODEV || got == -ENOBUFS;
		counts[0] += got > 0;
	}
	while (good && poll(&poll_fd, 1, 20) == 1) {
		int got = receive(poll_fd.fd, &scratch);

		good = got == 1 || got == -ECONNRESET || got == -ENODEV ||
		       (!got && sane_reply(&scratch));
		if (!good)
			printf("got %d, type %u, size %zd\n", got, scratch.header.type,
			       scratch.size);
		counts[1] += !got;
		if (got)
			break;
	}
	close(poll_fd.fd);
	return good;
}

/* Against a host that misbehaves: only errors and whole frames, whatever it does. */
void test_fuzz(void)
{
	unsigned int counts[2] = { 0, 0 }, sessions = 0, bad = 0;
	time_t end = time(NULL) + 20;

	srand(1);
	while (time(NULL) < end && bad < 5) {
		bad += !fuzz_session((unsigned int)rand(), counts);
		sessions++;
	}
	printf("%u sessions, %u frames sent, %u received\n", sessions, counts[0], counts[1]);
	check(bad == 0 && counts[0] > 100 && counts[1] > 100, "%u sessions saw what they must not",
	      bad);
}
