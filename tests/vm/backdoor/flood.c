// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * backdoor-flood PATH SECONDS: a program that floods the host through /dev/lodge, or through the
 * virtio-serial port's node: requests of all prices, log lines, data of no stream, and nonsense. It
 * reads what comes back, every other time. Prints how many frames went.
 *
 * backdoor-flood doorbells SECONDS: root rings the virtio device's doorbells, each queue's and in
 * every width, with nothing in the queues. Prints how often.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <time.h>
#include <unistd.h>

#include <lodge/rpc.h>

#define PAYLOAD		   4096u
#define LODGE_BACKDOOR_PCI 0x107fu /* protocol/spec/backdoor.md */

struct frame {
	struct lodge_rpc_header header;
	char payload[PAYLOAD];
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The bytes of frame number @n. */
static size_t make(struct frame *frame, unsigned int n)
{
	static const char *const words[] = { "log flood ",
					     "info-set guestinfo.flood ",
					     "info-get guestinfo.flood",
					     "lodge.facts part=load",
					     "no-such-word ",
					     "SetGuestInfo  4 " };
	size_t len, size;

	memset(frame->payload, 'a' + (int)(n % 26), sizeof(frame->payload));
	frame->header = (struct lodge_rpc_header){ .magic = LODGE_RPC_MAGIC, .tag = n };
	if (n % 16 == 15) {
		frame->header.type = n % 32 == 15 ? LODGE_RPC_DATA : LODGE_RPC_RESULT;
		size = PAYLOAD;
	} else {
		const char *word = words[n % (sizeof(words) / sizeof(words[0]))];

		len = strlen(word);
		memcpy(frame->payload, word, len);
		size = len + n % 512;
		frame->header.type = LODGE_RPC_REQUEST;
		frame->header.reply_max = PAYLOAD;
	}
	frame->header.size = (uint32_t)size;
	return sizeof(frame->header) + size;
}

static size_t make_hello(struct frame *frame)
{
	static const char hello[] = "lodge.hello app=cli\0version=flood";

	frame->header = (struct lodge_rpc_header){ .magic = LODGE_RPC_MAGIC,
						   .size = sizeof(hello),
						   .type = LODGE_RPC_REQUEST,
						   .reply_max = PAYLOAD };
	memcpy(frame->payload, hello, sizeof(hello));
	return sizeof(frame->header) + sizeof(hello);
}

static void drain(int fd)
{
	static char bytes[65536];

	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
}

/* False: the session is over. */
static bool put(int fd, const void *bytes, size_t len, double end)
{
	while (now() < end) {
		ssize_t done = write(fd, bytes, len);

		if (done == (ssize_t)len)
			return true;
		if (done > 0) {
			bytes = (const char *)bytes + done;
			len -= (size_t)done;
		} else if (errno == EAGAIN || errno == EBUSY || errno == ENOBUFS) {
			struct pollfd waiting = { fd, POLLIN | POLLOUT, 0 };

			(void)poll(&waiting, 1, 10);
			drain(fd);
		} else {
			return false;
		}
	}
	return false;
}

/* The file's first number, to base 16; 0 where there is none. */
static unsigned long read_number(const char *folder, const char *name)
{
	char path[4096], text[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "r");
	if (!file)
		return 0;
	(void)!fgets(text, sizeof(text), file);
	fclose(file);
	return strtoul(text, NULL, 16);
}

/* Where the doorbells are: BAR 0, which is the first line of `resource`. */
static unsigned long find_doorbells(void)
{
	unsigned long base = 0;
	glob_t found;

	if (glob("/sys/bus/pci/devices/*", 0, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; i < found.gl_pathc && !base; i++) {
		if (read_number(found.gl_pathv[i], "device") == LODGE_BACKDOOR_PCI)
			base = read_number(found.gl_pathv[i], "resource");
	}
	globfree(&found);
	return base;
}

static int ring_doorbells(double end)
{
	unsigned long base = find_doorbells(), rung = 0;

	if (!base || base > UINT16_MAX - 8 || ioperm(base, 8, 1)) {
		fprintf(stderr, "backdoor-flood: no doorbells\n");
		return 1;
	}
	while (now() < end) {
		for (unsigned int i = 0; i < 64; i++) {
			unsigned short port = (unsigned short)(base + i % 2 * 4);

			outw((unsigned short)(i % 2), port);
			outw((unsigned short)i, port);
		}
		outb(1, (unsigned short)(base + 1));
		outl(UINT32_MAX, (unsigned short)base);
		rung += 130;
	}
	printf("%lu doorbells\n", rung);
	return 0;
}

int main(int argc, char **argv)
{
	static struct frame frame;
	unsigned long sent = 0, sessions = 0;
	double end;

	if (argc != 3) {
		fprintf(stderr, "usage: backdoor-flood PATH SECONDS\n");
		return 2;
	}
	end = now() + atof(argv[2]);
	if (!strcmp(argv[1], "doorbells"))
		return ring_doorbells(end);
	while (now() < end) {
		int fd = open(argv[1], O_RDWR | O_NONBLOCK | O_CLOEXEC);
		unsigned int n = 0;

		if (fd < 0) {
			usleep(1000);
			continue;
		}
		sessions++;
		for (size_t len = make_hello(&frame); put(fd, &frame, len, end);
		     len = make(&frame, n)) {
			if (++n % 2)
				drain(fd);
			/* Out of step: what follows is no header. */
			if (n % 4096 == 0)
				(void)put(fd, frame.payload, PAYLOAD, end);
		}
		sent += n;
		close(fd);
	}
	printf("%lu frames in %lu sessions\n", sent, sessions);
	return sent ? 0 : 1;
}
