/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What guestmsg.c (the table), guestmsg_call.c (steps by registers) and guestmsg_hb.c (steps by
 * strings) share.
 *
 * Two locks: `lock` holds the table still for a whole step, and is taken before the backdoor's;
 * `inbox_lock` is innermost, since the service hands over commands with the backdoor's lock held.
 */
#ifndef LODGE_VMM_BACKDOOR_GUESTMSG_PRIVATE_H
#define LODGE_VMM_BACKDOOR_GUESTMSG_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>

#include "host-vmm/backdoor/guestmsg.h"
#include "host-vmm/backdoor/session.h"

/* A command that waits to be fetched. */
struct guestmsg_command {
	uint32_t tag;
	size_t len;
	char bytes[];
};

struct guestmsg_channel {
	struct guestmsg *guestmsg;
	struct rpc_session *session; /* NULL: the slot is free */
	uint32_t protocol; /* LODGE_VMW_PROT_* */
	uint32_t cookie_high, cookie_low;
	struct guestmsg_opener opener; /* whose it is */
	uint64_t used_ms; /* when it last did something */
	bool restored; /* the next piece of a message gets CPT */

	/* From the guest */
	bool sending;
	uint8_t *bytes;
	size_t size, have, room; /* announced, received, allocated */

	/* To the guest */
	struct rpc_reply reply; /* RPCI: waits where bytes is not NULL */
	struct guestmsg_command *command; /* TCLO: offered, or out */
	bool receiving; /* its size was told */
	bool out; /* the guest has it, and owes the result */
	uint64_t out_ms;
	size_t at; /* bytes that the guest has fetched */

	/* Under inbox_lock */
	struct guestmsg_command *inbox;
	bool closed; /* by the service */
};

struct guestmsg {
	struct backdoor *backdoor;
	struct log_ratelimit *log;
	pthread_mutex_t lock;
	pthread_mutex_t inbox_lock;
	struct guestmsg_channel channels[GUESTMSG_CHANNELS];
	size_t pool; /* bytes of all channels' `room` */
};

uint64_t guestmsg_now_ms(void);

/* All below: with `lock` held. */

/* The channel of a call, by number and cookie, or NULL. */
struct guestmsg_channel *guestmsg_find(struct guestmsg *guestmsg, uint64_t number,
				       uint32_t cookie_high, uint32_t cookie_low);
/* -EINVAL: no such protocol; -EMFILE: no room, and none that may be taken from another; what
 * rpc_session_open() says. */
int guestmsg_open(struct guestmsg *guestmsg, uint32_t protocol, bool cookie,
		  const struct guestmsg_opener *opener, struct guestmsg_channel **ret_channel);
void guestmsg_close(struct guestmsg_channel *channel);

/* Forgets what of a message from the guest has come. */
void guestmsg_drop_sent(struct guestmsg_channel *channel);
/* More of the message that was announced: -ENOMEM, -ENOBUFS (the pool), -EMSGSIZE (too much). Once
 * all of it is there, it is handed to the service. */
int guestmsg_append(struct guestmsg_channel *channel, const void *bytes, size_t len);
/* The whole message is there. */
void guestmsg_deliver(struct guestmsg_channel *channel);
/* What waits for the guest, or NULL. */
const char *guestmsg_waiting(const struct guestmsg_channel *channel, size_t *ret_len);
/* Offers the next command, if one is there and none is out. */
void guestmsg_offer(struct guestmsg_channel *channel);
/* The guest has all of what waited. */
void guestmsg_received(struct guestmsg_channel *channel);

#endif
