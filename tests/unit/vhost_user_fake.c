// SPDX-License-Identifier: GPL-2.0-or-later
/* A vhost-user back end for tests, good or bad as told. */
#include "tests/unit/vhost_user_fake.h"

#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/lib/fd.h"

#define BIT(n) (1ull << (n))

struct message {
	struct vhost_user_header header;
	union vhost_user_payload payload;
	int fds[FD_PASS_MAX];
	size_t n_fds;
};

void fake_init(struct fake *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->features = BIT(32) | BIT(29) | BIT(28) | BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	fake->protocol = BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK);
	fake->queue_num = FAKE_QUEUES;
	fake->mem_slots = 8;
	fake->memory_fd = fake->inflight_fd = fake->socket = -1;
	for (int i = 0; i < FAKE_QUEUES; i++)
		fake->kick[i] = fake->call[i] = fake->err[i] = -1;
}

/* Returns false at the end of the connection. */
static bool take(struct fake *fake, struct message *message)
{
	ssize_t got;

	memset(message, 0, sizeof(*message));
	got = fd_recv(fake->socket, &message->header, sizeof(message->header), message->fds,
		      &message->n_fds);
	if (got != sizeof(message->header))
		return false;
	ck_assert_uint_le(message->header.size, sizeof(message->payload));
	ck_assert_uint_eq(message->header.flags & VHOST_USER_VERSION_MASK, VHOST_USER_VERSION);
	ck_assert_uint_eq(message->header.flags & VHOST_USER_FLAG_REPLY, 0);
	return fd_read_all(fake->socket, &message->payload, message->header.size) ==
	       (ssize_t)message->header.size;
}

static void keep_fd(int *place, struct message *message)
{
	fd_close(place);
	if (message->n_fds)
		*place = message->fds[--message->n_fds];
}

static void note_ring(struct fake *fake, struct message *message)
{
	uint32_t index = message->payload.vring_state.index & VHOST_USER_VRING_INDEX_MASK;

	ck_assert_uint_lt(index, FAKE_QUEUES);
	switch (message->header.request) {
	case VHOST_USER_SET_VRING_NUM:
		fake->num[index] = message->payload.vring_state;
		break;
	case VHOST_USER_SET_VRING_BASE:
		fake->base[index] = message->payload.vring_state;
		break;
	case VHOST_USER_SET_VRING_ADDR:
		fake->addr[index] = message->payload.vring_addr;
		break;
	case VHOST_USER_SET_VRING_KICK:
		keep_fd(&fake->kick[index], message);
		break;
	case VHOST_USER_SET_VRING_CALL:
		keep_fd(&fake->call[index], message);
		break;
	case VHOST_USER_SET_VRING_ERR:
		keep_fd(&fake->err[index], message);
		break;
	case VHOST_USER_SET_VRING_ENABLE:
		fake->enabled[index] = message->payload.vring_state.num;
		break;
	}
}

static void note(struct fake *fake, struct message *message)
{
	switch (message->header.request) {
	case VHOST_USER_SET_OWNER:
		fake->owner++;
		break;
	case VHOST_USER_SET_FEATURES:
		fake->set_features = message->payload.u64;
		break;
	case VHOST_USER_SET_PROTOCOL_FEATURES:
		fake->set_protocol = message->payload.u64;
		break;
	case VHOST_USER_SET_STATUS:
		fake->status = message->payload.u64;
		break;
	case VHOST_USER_RESET_DEVICE:
		fake->resets++;
		break;
	case VHOST_USER_SET_MEM_TABLE:
		fake->table = message->payload.mem_table;
		ck_assert_uint_eq(message->n_fds, fake->table.n_regions);
		keep_fd(&fake->memory_fd, message);
		break;
	case VHOST_USER_ADD_MEM_REG:
		ck_assert_uint_eq(message->n_fds, 1);
		fake->table.regions[fake->n_added++] = message->payload.mem_region.region;
		break;
	case VHOST_USER_SET_INFLIGHT_FD:
		ck_assert_uint_eq(message->n_fds, 1);
		break;
	default:
		note_ring(fake, message);
	}
}

static int make_inflight(struct fake *fake, struct vhost_user_inflight *shape)
{
	uint64_t stride = 16 + 16ull * shape->queue_size;
	int fds[2];

	shape->mmap_size = fake->inflight_size ? fake->inflight_size : stride * shape->n_queues;
	shape->mmap_offset = 0;
	fd_close(&fake->inflight_fd);
	if (fake->inflight_pipe) {
		ck_assert_int_eq(pipe(fds), 0);
		close(fds[1]);
		fake->inflight_fd = fds[0];
	} else {
		fake->inflight_fd = memfd_create("inflight", MFD_CLOEXEC);
		ck_assert_int_eq(ftruncate(fake->inflight_fd, (off_t)shape->mmap_size), 0);
	}
	return fake->inflight_fd;
}

/* Bytes of payload of the answer to a request that has one of its own, else 0. */
static size_t answer(struct fake *fake, struct message *message, int *ret_fd)
{
	union vhost_user_payload *payload = &message->payload;

	switch (message->header.request) {
	case VHOST_USER_GET_FEATURES:
		payload->u64 = fake->features;
		return sizeof(payload->u64);
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		payload->u64 = fake->protocol;
		return sizeof(payload->u64);
	case VHOST_USER_GET_QUEUE_NUM:
		payload->u64 = fake->queue_num;
		return sizeof(payload->u64);
	case VHOST_USER_GET_MAX_MEM_SLOTS:
		payload->u64 = fake->mem_slots;
		return sizeof(payload->u64);
	case VHOST_USER_GET_VRING_BASE:
		payload->vring_state.num = FAKE_BASE + payload->vring_state.index;
		return sizeof(payload->vring_state);
	case VHOST_USER_GET_INFLIGHT_FD:
		*ret_fd = make_inflight(fake, &payload->inflight);
		return sizeof(payload->inflight);
	}
	return 0;
}

/* Sends the first @bytes of the reply. */
static void send_part(struct fake *fake, const struct message *reply, size_t bytes, const int *fds,
		      size_t n_fds)
{
	uint8_t wire[sizeof(reply->header) + sizeof(reply->payload)];

	memcpy(wire, &reply->header, sizeof(reply->header));
	memcpy(wire + sizeof(reply->header), &reply->payload, sizeof(reply->payload));
	fd_send(fake->socket, wire, bytes, fds, n_fds);
}

static void send_reply(struct fake *fake, const struct message *reply, size_t len, int fd)
{
	send_part(fake, reply, sizeof(reply->header) + len, &fd, fd >= 0);
}

/* False: the connection is to be closed. */
static bool misbehave(struct fake *fake, struct message *reply, size_t len, int fd)
{
	int fds[FD_PASS_MAX] = { 0, 0, 0, 0, 0, 0, 0, 0 };
	char rubbish[64];

	memset(rubbish, 0xa5, sizeof(rubbish));
	switch (fake->misdeed) {
	case MISDEED_SILENT:
		return true;
	case MISDEED_HALF_HEADER:
		send_part(fake, reply, 6, NULL, 0);
		return false;
	case MISDEED_HALF_PAYLOAD:
		send_part(fake, reply, sizeof(reply->header) + len / 2, NULL, 0);
		return true;
	case MISDEED_OTHER_REQUEST:
		reply->header.request ^= 2;
		break;
	case MISDEED_NO_REPLY_FLAG:
		reply->header.flags &= ~VHOST_USER_FLAG_REPLY;
		break;
	case MISDEED_VERSION:
		reply->header.flags ^= VHOST_USER_VERSION_MASK;
		break;
	case MISDEED_SIZE_ZERO:
		reply->header.size = 0;
		break;
	case MISDEED_SIZE_HUGE:
		reply->header.size = UINT32_MAX;
		break;
	case MISDEED_STRAY_FD:
		fds[0] = fd >= 0 ? fd : 0;
		send_part(fake, reply, sizeof(reply->header) + len, fds, fd >= 0 ? 2 : 1);
		return true;
	case MISDEED_MANY_FDS:
		send_part(fake, reply, sizeof(reply->header), fds, FD_PASS_MAX);
		return true;
	case MISDEED_RUBBISH:
		fd_send(fake->socket, rubbish, sizeof(rubbish), NULL, 0);
		return true;
	default:
		return false;
	}
	send_reply(fake, reply, len, fd);
	return true;
}

static bool serve(struct fake *fake, struct message *message)
{
	bool need_ack = message->header.flags & VHOST_USER_FLAG_NEED_REPLY;
	uint32_t request = message->header.request;
	bool bad = fake->misdeed && request == fake->misdeed_at;
	int fd = -1;
	size_t len;

	if (request < VHOST_USER_REQUEST_END)
		fake->seen[request]++;
	len = answer(fake, message, &fd);
	if (!len) {
		note(fake, message);
		if (!need_ack && !bad)
			return true;
		message->payload.u64 = request == fake->nack;
		len = sizeof(message->payload.u64);
	}
	message->header.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
	message->header.size = (uint32_t)len;
	if (fake->mute)
		return true;
	fake->mute = bad &&
		     (fake->misdeed == MISDEED_SILENT || fake->misdeed == MISDEED_HALF_PAYLOAD);
	if (bad)
		return misbehave(fake, message, len, fd);
	send_reply(fake, message, len, fd);
	return true;
}

static void *run(void *opaque)
{
	struct fake *fake = opaque;
	struct message message;
	bool more = true;

	while (more && take(fake, &message)) {
		more = serve(fake, &message);
		while (message.n_fds)
			close(message.fds[--message.n_fds]);
	}
	shutdown(fake->socket, SHUT_RDWR);
	return NULL;
}

int fake_start(struct fake *fake)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fake->socket = pair[1];
	ck_assert_int_eq(pthread_create(&fake->thread, NULL, run, fake), 0);
	return pair[0];
}

void fake_stop(struct fake *fake)
{
	if (fake->socket < 0)
		return;
	shutdown(fake->socket, SHUT_RDWR);
	pthread_join(fake->thread, NULL);
	fd_close(&fake->socket);
}

void fake_finish(struct fake *fake)
{
	fake_stop(fake);
	fd_close(&fake->memory_fd);
	fd_close(&fake->inflight_fd);
	for (int i = 0; i < FAKE_QUEUES; i++) {
		fd_close(&fake->kick[i]);
		fd_close(&fake->call[i]);
		fd_close(&fake->err[i]);
	}
}
