// SPDX-License-Identifier: GPL-2.0-or-later
// The relay's clients: who may connect, frames in, frames out, limits.
#include "host-vmm/backdoor/relay_private.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host-vmm/loop.h"
#include "protocol/lib/fd.h"

#define CHUNK (64u << 10)

bool relay_client_is_full(const struct relay_client *client)
{
	return client->out_len >= RELAY_BACKLOG_MAX;
}

static void watch(struct relay_client *client)
{
	uint32_t events = (relay_client_is_full(client) ? 0 : EPOLLIN) |
			  (client->out_len ? EPOLLOUT : 0);

	if (events == client->events)
		return;
	client->events = events;
	if (loop_modify(client->source, events))
		client->dead = true;
}

/* Its callers are in the middle of something; the socket's end brings it to its turn. */
static void doom(struct relay_client *client)
{
	client->dead = true;
	shutdown(client->fd, SHUT_RDWR);
}

static int keep(struct relay_client *client, const void *bytes, size_t len)
{
	size_t need = client->out_len + len;

	if (client->out_start && client->out_start + need > client->out_room) {
		memmove(client->out, client->out + client->out_start, client->out_len);
		client->out_start = 0;
	}
	if (need > client->out_room) {
		size_t room = need + CHUNK;
		unsigned char *grown = realloc(client->out, room);

		if (!grown)
			return -ENOMEM;
		client->out = grown;
		client->out_room = room;
	}
	memcpy(client->out + client->out_start + client->out_len, bytes, len);
	client->out_len += len;
	return 0;
}

void relay_client_send(struct relay_client *client, enum lodge_rpc_type type, uint16_t flags,
		       uint32_t tag, const void *payload, size_t len)
{
	const struct frame frame = {
		.size = (uint32_t)len, .type = type, .flags = flags, .tag = tag
	};
	unsigned char header[LODGE_RPC_HEADER_SIZE];
	struct iovec parts[] = { { header, sizeof(header) }, { (void *)payload, len } };
	const struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t sent = 0;
	size_t done;

	if (client->dead)
		return;
	frame_build(&frame, header);
	if (!client->out_len)
		sent = sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		doom(client);
		return;
	}
	done = sent > 0 ? (size_t)sent : 0;
	for (size_t i = 0; i < 2; i++) {
		size_t skip = done < parts[i].iov_len ? done : parts[i].iov_len;

		done -= skip;
		if (skip < parts[i].iov_len &&
		    keep(client, (unsigned char *)parts[i].iov_base + skip,
			 parts[i].iov_len - skip)) {
			doom(client);
			return;
		}
	}
	watch(client);
}

void relay_client_credit(struct relay_client *client, uint32_t number, uint32_t bytes)
{
	const uint32_t credit = htole32(bytes);

	relay_client_send(client, LODGE_RPC_CREDIT, 0, number, &credit, sizeof(credit));
}

static void client_free(struct relay_client *client)
{
	struct relay *relay = client->relay;
	struct relay_client **at = &relay->clients;

	loop_remove(client->source);
	client->dead = true;
	relay_call_end_all(client);
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	relay->n_clients--;
	frame_cutter_reset(&client->cutter);
	close(client->fd);
	free(client->out);
	free(client);
}

static int take_frame(void *opaque, const struct frame *frame, const unsigned char *payload)
{
	struct relay_client *client = opaque;

	/* There is one session here, and the flag is a driver's. */
	if (frame->session || frame->flags & LODGE_RPC_F_ROOT)
		return -EBADMSG;
	return relay_call_frame(client, frame, payload);
}

/* False where the client is over. */
static bool client_read(struct relay_client *client)
{
	struct relay *relay = client->relay;
	ssize_t got = recv(client->fd, relay->chunk, CHUNK, MSG_DONTWAIT);
	int ret;

	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	if (!got)
		return false;
	ret = frame_cutter_feed(&client->cutter, relay->chunk, (size_t)got, take_frame, client);
	if (ret)
		log_ratelimited(&relay->limit, LOG_LEVEL_WARN,
				"tools.sock: a client does not keep to the protocol; closed");
	return ret == 0;
}

static bool client_write(struct relay_client *client)
{
	ssize_t sent = send(client->fd, client->out + client->out_start, client->out_len,
			    MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0)
		return errno == EAGAIN || errno == EINTR;
	client->out_start += (size_t)sent;
	client->out_len -= (size_t)sent;
	if (!client->out_len) {
		free(client->out);
		client->out = NULL;
		client->out_start = client->out_room = 0;
	}
	if (!relay_client_is_full(client))
		relay_call_resume(client);
	return true;
}

static void client_ready(void *opaque, uint32_t events)
{
	struct relay_client *client = opaque;
	bool alive = !client->dead;

	if (alive && events & EPOLLOUT && client->out_len)
		alive = client_write(client);
	/* Also what tells of its end: a client that hung up wants nothing more done. */
	if (alive && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		alive = client_read(client);
	if (alive && !client->dead)
		watch(client);
	if (!alive || client->dead)
		client_free(client);
}

static int client_add(struct relay *relay, int fd)
{
	struct relay_client *client = calloc(1, sizeof(*client));
	int ret;

	if (!client)
		return -ENOMEM;
	client->relay = relay;
	client->fd = fd;
	client->events = EPOLLIN;
	client->cutter.types = FRAME_TYPE(LODGE_RPC_COMMAND) | FRAME_TYPE(LODGE_RPC_DATA) |
			       FRAME_TYPE(LODGE_RPC_CREDIT) | FRAME_TYPE(LODGE_RPC_RESET);
	ret = loop_add(relay->loop, fd, EPOLLIN, client_ready, client, &client->source);
	if (ret) {
		free(client);
		return ret;
	}
	client->next = relay->clients;
	relay->clients = client;
	relay->n_clients++;
	return 0;
}

static void accept_ready(void *opaque, uint32_t events)
{
	struct relay *relay = opaque;
	autofd fd = unix_accept(relay->fd, &relay->spare_fd);
	const char *why = NULL;

	(void)events;
	if (fd < 0)
		return;
	if (!unix_peer_is_ours(fd))
		why = "it is another user's";
	else if (relay->n_clients >= RELAY_CLIENTS_MAX)
		why = "there are too many";
	else if (client_add(relay, fd))
		why = "memory is short";
	else
		fd_steal(&fd);
	if (why)
		log_ratelimited(&relay->limit, LOG_LEVEL_WARN,
				"tools.sock: a client was refused: %s", why);
}

static void free_relay(struct relay *relay)
{
	if (relay->fd >= 0) {
		unlink(relay->path);
		close(relay->fd);
	}
	fd_close(&relay->spare_fd);
	free(relay->chunk);
	free(relay->path);
	free(relay);
}

int relay_start(struct backdoor *backdoor, struct loop *loop, const char *path,
		struct relay **ret_relay)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	int ret = 0;

	if (!relay)
		return -ENOMEM;
	*relay = (struct relay){ .backdoor = backdoor, .loop = loop, .fd = -1, .spare_fd = -1 };
	relay->path = strdup(path);
	relay->chunk = malloc(CHUNK);
	if (!relay->path || !relay->chunk) {
		ret = -ENOMEM;
	} else {
		relay->fd = unix_listen_ours(path, RELAY_CLIENTS_MAX);
		ret = relay->fd < 0 ? relay->fd : 0;
	}
	if (!ret)
		relay->spare_fd = unix_spare(relay->fd);
	if (!ret)
		ret = loop_add(loop, relay->fd, EPOLLIN, accept_ready, relay, &relay->source);
	if (ret) {
		free_relay(relay);
		return ret;
	}
	*ret_relay = relay;
	return 0;
}

static void stop_on_loop(void *opaque)
{
	struct relay *relay = opaque;

	loop_remove(relay->source);
	while (relay->clients)
		client_free(relay->clients);
}

void relay_stop(struct relay *relay)
{
	if (!relay)
		return;
	loop_call(relay->loop, stop_on_loop, relay);
	free_relay(relay);
}
