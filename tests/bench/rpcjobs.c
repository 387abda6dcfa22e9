// SPDX-License-Identifier: GPL-2.0-or-later
// Round trips of 64 bytes each way between guest and host: a request by /dev/lodge or by frames
// over the tools' port, an echo over a port of the peer's, or the I/O ports where there is no more.
#include "tests/bench/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lodge/backdoor.h>
#include <lodge/rpc.h>

#define MESSAGE_BYTES 64
#define WARM_UP	      200u
#define ROUNDS	      3000u
#define ECHO_PORT     "org.lodge.bench.0"

struct message {
	struct lodge_rpc_header header;
	char text[1024];
};

static int read_exactly(int fd, void *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t got = read(fd, (char *)bytes + at, len - at);

		if (got <= 0)
			return got < 0 ? -errno : -EPIPE;
		at += (size_t)got;
	}
	return 0;
}

/* /dev/lodge gives a frame whole, a port in pieces. */
static int read_frame(int fd, bool stream, struct message *message)
{
	ssize_t got;
	int ret;

	if (!stream) {
		got = read(fd, message, sizeof(*message));
		return got < 0 ? -errno : got < (ssize_t)sizeof(message->header) ? -EPIPE : 0;
	}
	ret = read_exactly(fd, &message->header, sizeof(message->header));
	if (ret == 0 && message->header.size > sizeof(message->text))
		ret = -EBADMSG;
	if (ret == 0)
		ret = read_exactly(fd, message->text, message->header.size);
	return ret;
}

/* The reply's bytes, or a negative errno. */
static int ask(int fd, bool stream, const char *text, size_t len)
{
	static uint32_t tag;
	struct message message = {
		.header = {
			.magic = LODGE_RPC_MAGIC,
			.size = (uint32_t)len,
			.type = LODGE_RPC_REQUEST,
			.tag = tag + 1,
			.reply_max = sizeof(message.text),
		},
	};
	int ret;

	tag++;
	memcpy(message.text, text, len);
	if (write(fd, &message, sizeof(message.header) + len) < 0)
		return -errno;
	do {
		ret = read_frame(fd, stream, &message);
	} while (ret == 0 && message.header.type != LODGE_RPC_REPLY);
	if (ret < 0)
		return ret;
	return message.header.tag == tag && message.text[0] == '1' ? (int)message.header.size
								   : -EBADMSG;
}

static int open_port(const char *wanted)
{
	for (int i = 1; i < 32; i++) {
		char path[64], name[64] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/sys/class/virtio-ports/vport0p%d/name", i);
		file = fopen(path, "re");
		if (!file)
			continue;
		(void)!fgets(name, sizeof(name), file);
		fclose(file);
		name[strcspn(name, "\n")] = '\0';
		snprintf(path, sizeof(path), "/dev/vport0p%d", i);
		if (strcmp(name, wanted) == 0)
			return open(path, O_RDWR | O_CLOEXEC);
	}
	errno = ENOENT;
	return -1;
}

static int time_requests(int fd, bool stream, struct job_result *ret_result)
{
	static const char hello[] = "lodge.hello app=cli";
	char set[MESSAGE_BYTES + 64], get[MESSAGE_BYTES];
	double began = 0;
	int ret = ask(fd, stream, hello, sizeof(hello));

	memset(get, ' ', sizeof(get));
	memcpy(get, "info-get guestinfo.bench", 24);
	/* The reply is "1 " and the value. */
	snprintf(set, sizeof(set), "info-set guestinfo.bench %0*d", MESSAGE_BYTES - 2, 0);
	if (ret >= 0)
		ret = ask(fd, stream, set, strlen(set));
	for (unsigned int i = 0; i < WARM_UP + ROUNDS && ret >= 0; i++) {
		if (i == WARM_UP)
			began = now();
		ret = ask(fd, stream, get, sizeof(get));
		if (ret >= 0 && ret != MESSAGE_BYTES)
			ret = -EBADMSG;
	}
	*ret_result = (struct job_result){ ROUNDS, now() - began };
	return ret < 0 ? ret : 0;
}

static int time_echo(int fd, struct job_result *ret_result)
{
	char bytes[MESSAGE_BYTES] = "";
	double began = 0;
	int ret = 0;

	for (unsigned int i = 0; i < WARM_UP + ROUNDS && ret == 0; i++) {
		if (i == WARM_UP)
			began = now();
		if (write(fd, bytes, sizeof(bytes)) != sizeof(bytes))
			ret = -EIO;
		else
			ret = read_exactly(fd, bytes, sizeof(bytes));
	}
	*ret_result = (struct job_result){ ROUNDS, now() - began };
	return ret;
}

/* By the best way that this guest has. */
static int round_trips(const char *path, struct job_result *ret_result)
{
	bool stream = false, echo = false;
	int fd = open("/dev/lodge", O_RDWR | O_CLOEXEC), ret;

	if (fd < 0) {
		stream = true;
		fd = open_port(LODGE_BACKDOOR_PORT_NAME);
	}
	if (fd < 0) {
		echo = true;
		fd = open_port(ECHO_PORT);
	}
	if (fd < 0)
		return rpc_ports_round_trips(path, ret_result);
	ret = echo ? time_echo(fd, ret_result) : time_requests(fd, stream, ret_result);
	close(fd);
	return ret;
}

const struct job rpc_jobs[] = {
	{ "rpc.virtio", "requests", round_trips },
	{ "rpc.port", "requests", round_trips },
	{ "rpc.ioports", "requests", round_trips },
	{ "balloon.touch", "bytes", memory_touch },
	{ NULL, NULL, NULL },
};
