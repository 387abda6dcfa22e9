// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * VMware's I/O port and GuestMsg channels, as open-vm-tools' guests use them: four bytes a call.
 *
 * The high-bandwidth port is not used: KVM delivers REP OUTS of ring 3 byte by byte, and what we
 * send here is short.
 */
#include "guest-daemon/lib/vmport.h"

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>

#include <lodge/backdoor.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#include <sys/io.h>
#endif

enum step { OPEN, SENDSIZE, SENDPAYLOAD, RECVSIZE, RECVPAYLOAD, RECVSTATUS, CLOSE };

/* Status bits in ECX's high half. */
#define SUCCESS 0x01u
#define DORECV	0x02u
#define CPT	0x10u /* a snapshot was restored in between: begin the message again */

#define WITH_COOKIE 0x80000000u
#define TRIES	    3

#if defined(__x86_64__) || defined(__i386__)
void vmport_call(enum vmport_command command, struct vmport_regs *regs)
{
	regs->ax = LODGE_VMW_MAGIC;
	regs->cx = regs->cx << 16 | command;
	regs->dx = (regs->dx & 0xffff0000u) | LODGE_VMW_PORT;
	__asm__ volatile("inl %%dx, %%eax"
			 : "+a"(regs->ax), "+b"(regs->bx), "+c"(regs->cx), "+d"(regs->dx),
			   "+S"(regs->si), "+D"(regs->di)
			 :
			 : "memory");
}

int vmport_claim(void)
{
	struct vmport_regs regs = { .bx = ~LODGE_VMW_MAGIC };
	unsigned int a, b, c, d;

	/* Outside virtual machines the ports may be any device's. */
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 31))
		return -ENOENT;
	/* A doubleword at the low-bandwidth port reaches over four ports. */
	if (ioperm(LODGE_VMW_PORT, 4, 1))
		return errno == EPERM ? -EPERM : -ENOENT;
	vmport_call(VMPORT_GETVERSION, &regs);
	if (regs.ax == UINT32_MAX || regs.bx != LODGE_VMW_MAGIC) {
		(void)ioperm(LODGE_VMW_PORT, 4, 0);
		return -ENOENT;
	}
	return 0;
}
#else
void vmport_call(enum vmport_command command, struct vmport_regs *regs)
{
	(void)command;
	*regs = (struct vmport_regs){ .ax = UINT32_MAX };
}

int vmport_claim(void)
{
	return -ENOENT;
}
#endif

static uint32_t message(const struct vmport_channel *channel, enum step step, uint32_t value,
			struct vmport_regs *ret_regs)
{
	struct vmport_regs regs = {
		.bx = value,
		.cx = step,
		.dx = (uint32_t)channel->id << 16,
		.si = channel->cookie_high,
		.di = channel->cookie_low,
	};

	vmport_call(VMPORT_MESSAGE, &regs);
	if (ret_regs)
		*ret_regs = regs;
	return regs.ax == UINT32_MAX ? 0 : regs.cx >> 16;
}

int vmport_open(uint32_t protocol, struct vmport_channel *ret_channel)
{
	const struct vmport_channel none = { 0 };
	struct vmport_regs regs;

	if (!(message(&none, OPEN, protocol | WITH_COOKIE, &regs) & SUCCESS))
		return -EBUSY;
	*ret_channel = (struct vmport_channel){ (uint16_t)(regs.dx >> 16), regs.si, regs.di };
	return 0;
}

void vmport_close(const struct vmport_channel *channel)
{
	(void)message(channel, CLOSE, 0, NULL);
}

/* SUCCESS, or CPT where the message must begin again, or 0. */
static uint32_t send_once(const struct vmport_channel *channel, const char *bytes, size_t len)
{
	uint32_t status = message(channel, SENDSIZE, (uint32_t)len, NULL);

	for (size_t at = 0; at < len && status & SUCCESS; at += sizeof(uint32_t)) {
		uint32_t piece = 0;

		memcpy(&piece, bytes + at, MIN(sizeof(piece), len - at));
		status = message(channel, SENDPAYLOAD, piece, NULL);
	}
	return status & (SUCCESS | CPT);
}

int vmport_send(const struct vmport_channel *channel, const void *bytes, size_t len)
{
	uint32_t status = CPT;

	for (int i = 0; i < TRIES && status == CPT; i++)
		status = send_once(channel, bytes, len);
	return status & SUCCESS ? 0 : -EPIPE;
}

/* What the host's step must say it is, in EDX's high half. */
static bool is_step(const struct vmport_regs *regs, enum step step)
{
	return regs->dx >> 16 == step;
}

static uint32_t receive_once(const struct vmport_channel *channel, size_t max, GByteArray *bytes,
			     int *ret_error)
{
	struct vmport_regs regs;
	uint32_t status = message(channel, RECVSIZE, 0, &regs);
	uint32_t size;

	*ret_error = 0;
	if (!(status & SUCCESS))
		return status & CPT;
	if (!(status & DORECV))
		return SUCCESS;
	size = regs.bx;
	if (!is_step(&regs, SENDSIZE) || size > max) {
		(void)message(channel, RECVSTATUS, 0, NULL);
		*ret_error = -EMSGSIZE;
		return SUCCESS;
	}
	while (bytes->len < size) {
		uint32_t piece;

		status = message(channel, RECVPAYLOAD, 1, &regs);
		if (!(status & SUCCESS) || !is_step(&regs, SENDPAYLOAD))
			return status & SUCCESS ? 0 : status & CPT;
		piece = regs.bx;
		g_byte_array_append(bytes, (guint8 *)&piece, MIN(sizeof(piece), size - bytes->len));
	}
	status = message(channel, RECVSTATUS, 1, NULL);
	return status & SUCCESS ? SUCCESS | DORECV : status & CPT;
}

int vmport_receive(const struct vmport_channel *channel, size_t max, char **ret_message,
		   size_t *ret_len)
{
	GByteArray *bytes = g_byte_array_new();
	uint32_t status = CPT;
	int ret = 0;

	for (int i = 0; i < TRIES && status == CPT; i++) {
		g_byte_array_set_size(bytes, 0);
		status = receive_once(channel, max, bytes, &ret);
	}
	if (!ret && !(status & SUCCESS))
		ret = -EPIPE;
	if (!ret && status & DORECV) {
		*ret_len = bytes->len;
		g_byte_array_append(bytes, (const guint8 *)"", 1);
		*ret_message = (char *)g_byte_array_free(bytes, FALSE);
		return 0;
	}
	g_byte_array_unref(bytes);
	if (!ret) {
		*ret_message = NULL;
		*ret_len = 0;
	}
	return ret;
}
