// SPDX-License-Identifier: GPL-2.0-or-later
// The same round trip through VMware's I/O ports: RPCI in a GuestMsg channel, four bytes a call.
#include "tests/bench/job.h"

#include <errno.h>
#include <string.h>
#include <sys/io.h>

#include <lodge/backdoor.h>

#define MESSAGE_BYTES 64
#define WARM_UP	      20u
#define ROUNDS	      300u
#define COMMAND	      30u /* message */
#define SUCCESS	      1u
#define DORECV	      2u
#define COOKIE_WANTED 0x80000000u

enum step { OPEN, SENDSIZE, SENDPAYLOAD, RECVSIZE, RECVPAYLOAD, RECVSTATUS, CLOSE };

struct channel {
	uint32_t number, high, low; /* number: in the high half */
};

/* The status; *value is EBX, in and out. */
static uint32_t call(struct channel *channel, enum step step, uint32_t *value)
{
	uint32_t eax = LODGE_VMW_MAGIC, ecx = (uint32_t)step << 16 | COMMAND,
		 edx = channel->number | LODGE_VMW_PORT, esi = channel->high, edi = channel->low;

	__asm__ volatile("inl %%dx, %%eax"
			 : "+a"(eax), "+b"(*value), "+c"(ecx), "+d"(edx), "+S"(esi), "+D"(edi)
			 :
			 : "memory");
	if (step == OPEN)
		*channel = (struct channel){ edx & 0xffff0000u, esi, edi };
	return eax == UINT32_MAX ? 0 : ecx >> 16;
}

static int send_message(struct channel *channel, const char *text, size_t len)
{
	uint32_t value = (uint32_t)len;
	uint32_t status = call(channel, SENDSIZE, &value);

	for (size_t at = 0; at < len && status & SUCCESS; at += 4) {
		memcpy(&value, text + at, 4);
		status = call(channel, SENDPAYLOAD, &value);
	}
	return status & SUCCESS ? 0 : -EPIPE;
}

/* How many bytes came. */
static int receive_message(struct channel *channel)
{
	uint32_t len = 0, value = 1, status = call(channel, RECVSIZE, &len);

	if (!(status & SUCCESS) || !(status & DORECV))
		return -EPIPE;
	for (size_t at = 0; at < len && status & SUCCESS; at += 4) {
		value = 1;
		status = call(channel, RECVPAYLOAD, &value);
	}
	value = 1;
	if (!(status & SUCCESS) || !(call(channel, RECVSTATUS, &value) & SUCCESS))
		return -EPIPE;
	return (int)len;
}

static int ask(struct channel *channel, const char *text, size_t len)
{
	int ret = send_message(channel, text, len);

	return ret < 0 ? ret : receive_message(channel);
}

int rpc_ports_round_trips(const char *path, struct job_result *ret_result)
{
	uint32_t protocol = LODGE_VMW_PROT_RPCI | COOKIE_WANTED;
	struct channel channel = { 0 };
	char set[88], get[MESSAGE_BYTES];
	double began = 0;
	int ret;

	(void)path;
	if (ioperm(LODGE_VMW_PORT, 4, 1) < 0)
		return -errno;
	if (!(call(&channel, OPEN, &protocol) & SUCCESS))
		return -ENODEV;
	memset(get, ' ', sizeof(get));
	memcpy(get, "info-get guestinfo.bench", 24);
	/* The reply is "1 " and the value, whose NUL is none of it. */
	memset(set, 0, sizeof(set));
	memcpy(set, "info-set guestinfo.bench ", 25);
	memset(set + 25, '0', MESSAGE_BYTES - 2);
	ret = ask(&channel, set, sizeof(set));
	for (unsigned int i = 0; i < WARM_UP + ROUNDS && ret >= 0; i++) {
		if (i == WARM_UP)
			began = now();
		ret = ask(&channel, get, sizeof(get));
		if (ret >= 0 && ret != MESSAGE_BYTES)
			ret = -EBADMSG;
	}
	*ret_result = (struct job_result){ ROUNDS, now() - began };
	protocol = 0;
	(void)call(&channel, CLOSE, &protocol);
	return ret < 0 ? ret : 0;
}
