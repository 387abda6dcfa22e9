// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of GuestMsg channels: opening, finding and closing them, and whole messages in and out.
 *
 * Theory of operation: a slot is in use while it has a session of the RPC service. Each protocol
 * has its share of the slots, so that programs that open requests and never close cannot take the
 * tools' command channel away. Within a share that is full, a process gets a slot from the one
 * that holds most, if that one holds more than it will itself; processes are told apart by their
 * address spaces. So one that opens all it can get, and keeps them busy, leaves the others at least
 * as many; and those to whom the guest's kernel gave the ports take them from those that it did
 * not. Else a new channel takes the place of one of as large a holder that was idle for long.
 *
 * A TCLO channel holds one command at a time, in one of four places: the inbox (where the service
 * leaves it, on any thread), offered (the guest has asked and may fetch it), out (fetched; the next
 * message of the guest is its result), or nowhere.
 */
#include "host-vmm/backdoor/guestmsg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <lodge/backdoor.h>

#include "host-vmm/backdoor/guestmsg_private.h"
#include "host-vmm/state.h"
#include "protocol/lib/log.h"

#define GROW_FIRST 256u

static int take_frame(void *opaque, const struct frame *frame, const void *payload);

static const struct rpc_session_ops tclo_ops = { .send = take_frame };
static const struct rpc_session_ops rpci_ops = { .send = NULL };

static const struct protocol {
	uint32_t number;
	size_t channels_max;
	uint64_t stale_ms;
	const struct rpc_session_ops *ops;
} protocols[] = {
	{ LODGE_VMW_PROT_RPCI, GUESTMSG_RPCI_MAX, GUESTMSG_RPCI_STALE_MS, &rpci_ops },
	{ LODGE_VMW_PROT_TCLO, GUESTMSG_TCLO_MAX, GUESTMSG_TCLO_STALE_MS, &tclo_ops },
};

uint64_t guestmsg_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static const struct protocol *find_protocol(uint32_t number)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (protocols[i].number == number)
			return &protocols[i];
	return NULL;
}

int guestmsg_create(struct backdoor *backdoor, struct log_ratelimit *log,
		    struct guestmsg **ret_guestmsg)
{
	struct guestmsg *guestmsg = calloc(1, sizeof(*guestmsg));

	if (!guestmsg)
		return -ENOMEM;
	guestmsg->backdoor = backdoor;
	guestmsg->log = log;
	pthread_mutex_init(&guestmsg->lock, NULL);
	pthread_mutex_init(&guestmsg->inbox_lock, NULL);
	for (size_t i = 0; i < GUESTMSG_CHANNELS; i++)
		guestmsg->channels[i].guestmsg = guestmsg;
	*ret_guestmsg = guestmsg;
	return 0;
}

void guestmsg_destroy(struct guestmsg *guestmsg)
{
	if (!guestmsg)
		return;
	guestmsg_reset(guestmsg);
	pthread_mutex_destroy(&guestmsg->inbox_lock);
	pthread_mutex_destroy(&guestmsg->lock);
	free(guestmsg);
}

void guestmsg_reset(struct guestmsg *guestmsg)
{
	pthread_mutex_lock(&guestmsg->lock);
	for (size_t i = 0; i < GUESTMSG_CHANNELS; i++)
		guestmsg_close(&guestmsg->channels[i]);
	pthread_mutex_unlock(&guestmsg->lock);
}

struct guestmsg_channel *guestmsg_find(struct guestmsg *guestmsg, uint64_t number,
				       uint32_t cookie_high, uint32_t cookie_low)
{
	struct guestmsg_channel *channel;

	if (number >= GUESTMSG_CHANNELS)
		return NULL;
	channel = &guestmsg->channels[number];
	if (!channel->session || channel->cookie_high != cookie_high ||
	    channel->cookie_low != cookie_low)
		return NULL;
	return channel;
}

void guestmsg_close(struct guestmsg_channel *channel)
{
	struct guestmsg *guestmsg = channel->guestmsg;

	if (!channel->session)
		return;
	/* Nothing comes through the ops once this returned. */
	rpc_session_close(channel->session);
	guestmsg_drop_sent(channel);
	rpc_reply_free(&channel->reply);
	free(channel->command);
	free(channel->inbox);
	*channel = (struct guestmsg_channel){ .guestmsg = guestmsg };
}

/* Channels of @protocol that @space has. */
static size_t count_of(const struct guestmsg *guestmsg, uint32_t protocol, uint64_t space)
{
	size_t count = 0;

	for (size_t i = 0; i < GUESTMSG_CHANNELS; i++) {
		const struct guestmsg_channel *channel = &guestmsg->channels[i];

		count += channel->session && channel->protocol == protocol &&
			 channel->opener.space == space;
	}
	return count;
}

/* Whether @channel may make room for one more of @opener, who has @mine. */
static bool may_give(const struct guestmsg_channel *channel, const struct protocol *protocol,
		     const struct guestmsg_opener *opener, size_t mine, uint64_t now_ms)
{
	size_t count = count_of(channel->guestmsg, protocol->number, channel->opener.space);

	/* To whom the guest's kernel gave the ports, any other process has to make room. */
	if (opener->owner != channel->opener.owner)
		return opener->owner;
	/* Who has more than the newcomer will have gives one away, else who uses it not. */
	return count > mine + 1 ||
	       (count >= mine && now_ms - channel->used_ms >= protocol->stale_ms);
}

/* Which channel makes room for one more of @opener, where there is no slot left: NULL for none. */
static struct guestmsg_channel *find_victim(struct guestmsg *guestmsg,
					    const struct protocol *protocol,
					    const struct guestmsg_opener *opener)
{
	size_t mine = count_of(guestmsg, protocol->number, opener->space), most = 0;
	struct guestmsg_channel *victim = NULL;
	uint64_t now_ms = guestmsg_now_ms();

	for (size_t i = 0; i < GUESTMSG_CHANNELS; i++) {
		struct guestmsg_channel *channel = &guestmsg->channels[i];
		size_t count;

		if (!channel->session || channel->protocol != protocol->number ||
		    !may_give(channel, protocol, opener, mine, now_ms))
			continue;
		count = count_of(guestmsg, protocol->number, channel->opener.space);
		if (!victim || count > most ||
		    (count == most && channel->used_ms < victim->used_ms)) {
			victim = channel;
			most = count;
		}
	}
	return victim;
}

/* A slot for one more channel of @protocol, perhaps by closing another. */
static struct guestmsg_channel *find_slot(struct guestmsg *guestmsg,
					  const struct protocol *protocol,
					  const struct guestmsg_opener *opener)
{
	struct guestmsg_channel *empty = NULL, *victim;
	size_t used = 0;

	for (size_t i = 0; i < GUESTMSG_CHANNELS; i++) {
		struct guestmsg_channel *channel = &guestmsg->channels[i];

		if (!channel->session)
			empty = empty ? empty : channel;
		else
			used += channel->protocol == protocol->number;
	}
	if (used < protocol->channels_max)
		return empty;
	victim = find_victim(guestmsg, protocol, opener);
	if (victim)
		guestmsg_close(victim);
	return victim;
}

/* A session for the slot @channel, whose protocol is set. */
static int attach(struct guestmsg_channel *channel)
{
	const struct protocol *protocol = find_protocol(channel->protocol);
	int ret;

	if (!protocol)
		return -EINVAL;
	channel->used_ms = guestmsg_now_ms();
	ret = rpc_session_open(channel->guestmsg->backdoor, RPC_DOOR_IOPORTS,
			       channel->opener.owner ? RPC_OWNER : RPC_USER, protocol->ops, channel,
			       &channel->session);
	if (ret == 0)
		rpc_session_set_space(channel->session, channel->opener.space);
	return ret;
}

int guestmsg_open(struct guestmsg *guestmsg, uint32_t protocol, bool cookie,
		  const struct guestmsg_opener *opener, struct guestmsg_channel **ret_channel)
{
	const struct protocol *row = find_protocol(protocol);
	struct guestmsg_channel *channel;
	uint32_t random[2] = { 0 };
	int ret;

	if (!row)
		return -EINVAL;
	channel = find_slot(guestmsg, row, opener);
	if (!channel)
		return -EMFILE;
	if (cookie && getrandom(random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		return -EAGAIN;
	channel->protocol = protocol;
	channel->cookie_high = random[0];
	channel->cookie_low = random[1];
	channel->opener = *opener;
	ret = attach(channel);
	if (ret < 0)
		return ret;
	*ret_channel = channel;
	return 0;
}

/* The service's: with the backdoor's lock held, on any thread. */
static int take_frame(void *opaque, const struct frame *frame, const void *payload)
{
	struct guestmsg_channel *channel = opaque;
	struct guestmsg *guestmsg = channel->guestmsg;
	struct guestmsg_command *command = NULL;
	int ret = 0;

	if (frame->type == LODGE_RPC_COMMAND) {
		command = malloc(sizeof(*command) + frame->size);
		if (!command)
			return -ENOMEM;
		command->tag = frame->tag;
		command->len = frame->size;
		memcpy(command->bytes, payload, frame->size);
	} else if (frame->type != LODGE_RPC_CLOSE) {
		return -EPIPE;
	}
	pthread_mutex_lock(&guestmsg->inbox_lock);
	if (!command) {
		channel->closed = true;
	} else if (channel->closed || channel->inbox) {
		ret = channel->closed ? -EPIPE : -ENOBUFS;
	} else {
		channel->inbox = command;
		command = NULL;
	}
	pthread_mutex_unlock(&guestmsg->inbox_lock);
	free(command);
	return ret;
}

void guestmsg_drop_sent(struct guestmsg_channel *channel)
{
	channel->guestmsg->pool -= channel->room;
	free(channel->bytes);
	channel->bytes = NULL;
	channel->room = channel->have = channel->size = 0;
	channel->sending = false;
}

/* Room for @len bytes in all. What was announced and did not come costs nothing. */
static int grow(struct guestmsg_channel *channel, size_t len)
{
	size_t room = channel->room ? channel->room : GROW_FIRST;
	uint8_t *bytes;

	if (len <= channel->room)
		return 0;
	while (room < len)
		room *= 2;
	if (room > channel->size)
		room = channel->size;
	if (channel->guestmsg->pool - channel->room + room > GUESTMSG_POOL_MAX)
		return -ENOBUFS;
	bytes = realloc(channel->bytes, room);
	if (!bytes)
		return -ENOMEM;
	channel->guestmsg->pool += room - channel->room;
	channel->bytes = bytes;
	channel->room = room;
	return 0;
}

int guestmsg_append(struct guestmsg_channel *channel, const void *bytes, size_t len)
{
	int ret;

	if (!channel->sending || len > channel->size - channel->have)
		return -EMSGSIZE;
	ret = grow(channel, channel->have + len);
	if (ret < 0)
		return ret;
	memcpy(channel->bytes + channel->have, bytes, len);
	channel->have += len;
	if (channel->have == channel->size)
		guestmsg_deliver(channel);
	return 0;
}

static void end_command(struct guestmsg_channel *channel, const void *result, size_t len)
{
	uint32_t tag = channel->command->tag;

	free(channel->command);
	channel->command = NULL;
	channel->out = channel->receiving = false;
	rpc_session_result(channel->session, tag, result, len);
}

static void deliver_tclo(struct guestmsg_channel *channel)
{
	static const char lost[] = "ERROR the guest has lost it";

	if (channel->size > 0 && channel->out)
		end_command(channel, channel->bytes, channel->size);
	else if (channel->size > 0)
		log_ratelimited(
			channel->guestmsg->log, LOG_LEVEL_WARN,
			"I/O ports: the guest answers a command that it has not been given");
	else if (channel->out && guestmsg_now_ms() - channel->out_ms > GUESTMSG_LOST_MS)
		end_command(channel, lost, sizeof(lost) - 1);
}

void guestmsg_deliver(struct guestmsg_channel *channel)
{
	if (channel->protocol == LODGE_VMW_PROT_TCLO) {
		deliver_tclo(channel);
	} else {
		/* A client that has not fetched its last reply does not want it. */
		rpc_reply_free(&channel->reply);
		channel->receiving = false;
		rpc_session_request(channel->session, channel->bytes ? channel->bytes : (void *)"",
				    channel->size, &channel->reply);
	}
	guestmsg_drop_sent(channel);
}

const char *guestmsg_waiting(const struct guestmsg_channel *channel, size_t *ret_len)
{
	if (channel->protocol == LODGE_VMW_PROT_RPCI) {
		*ret_len = channel->reply.len;
		return channel->reply.bytes;
	}
	if (!channel->command || channel->out)
		return NULL;
	*ret_len = channel->command->len;
	return channel->command->bytes;
}

void guestmsg_offer(struct guestmsg_channel *channel)
{
	if (channel->command)
		return;
	pthread_mutex_lock(&channel->guestmsg->inbox_lock);
	channel->command = channel->inbox;
	channel->inbox = NULL;
	pthread_mutex_unlock(&channel->guestmsg->inbox_lock);
}

void guestmsg_received(struct guestmsg_channel *channel)
{
	channel->receiving = false;
	if (channel->protocol == LODGE_VMW_PROT_RPCI) {
		rpc_reply_free(&channel->reply);
		channel->reply = (struct rpc_reply){ 0 };
		return;
	}
	channel->out = true;
	channel->out_ms = guestmsg_now_ms();
}

void guestmsg_save(struct guestmsg *guestmsg, struct state *state)
{
	pthread_mutex_lock(&guestmsg->lock);
	for (size_t i = 0; i < GUESTMSG_CHANNELS; i++) {
		const struct guestmsg_channel *channel = &guestmsg->channels[i];

		state_put_u32(state, channel->session ? channel->protocol : 0);
		state_put_u32(state, channel->cookie_high);
		state_put_u32(state, channel->cookie_low);
		state_put_u64(state, channel->opener.space);
		state_put_u8(state, channel->opener.owner);
	}
	pthread_mutex_unlock(&guestmsg->lock);
}

int guestmsg_load(struct guestmsg *guestmsg, struct state *state)
{
	int ret = 0;

	guestmsg_reset(guestmsg);
	pthread_mutex_lock(&guestmsg->lock);
	for (size_t i = 0; i < GUESTMSG_CHANNELS && ret == 0; i++) {
		struct guestmsg_channel *channel = &guestmsg->channels[i];

		channel->protocol = state_get_u32(state);
		channel->cookie_high = state_get_u32(state);
		channel->cookie_low = state_get_u32(state);
		channel->opener.space = state_get_u64(state);
		channel->opener.owner = state_get_u8(state) == 1;
		ret = state_error(state);
		if (ret == 0 && channel->protocol != 0 && !find_protocol(channel->protocol))
			ret = -EBADMSG;
		/* One that the service does not take back is closed, and the guest opens anew. */
		if (ret == 0 && channel->protocol != 0)
			channel->restored = attach(channel) == 0;
	}
	pthread_mutex_unlock(&guestmsg->lock);
	return ret;
}
