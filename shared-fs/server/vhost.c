// SPDX-License-Identifier: GPL-2.0-or-later
/* The front end's messages. */
#include "shared-fs/server/vhost.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/virtio_config.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ring.h>

#include "protocol/lib/fd.h"
#include "shared-fs/server/dax.h"
#include "shared-fs/server/session.h"
#include "shared-fs/server/shared.h"

#define RECORDS_SIZE	  (QUEUES_MAX * sizeof(struct queue_record))
#define MESSAGE_TIMEOUT_S 5 /* for the rest of a message that has begun */

#define BACKEND_FEATURES                                                    \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC | \
	 1ULL << VIRTIO_RING_F_EVENT_IDX | 1ULL << VHOST_USER_F_PROTOCOL_FEATURES)
#define BACKEND_PROTOCOL_FEATURES                                                     \
	(1ULL << VHOST_USER_PROTOCOL_F_MQ | 1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK | \
	 1ULL << VHOST_USER_PROTOCOL_F_RESET_DEVICE |                                 \
	 1ULL << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)
/* For a window that the front end maps files into. */
#define DAX_PROTOCOL_FEATURES                        \
	(1ULL << VHOST_USER_PROTOCOL_F_BACKEND_REQ | \
	 1ULL << VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD | 1ULL << VHOST_USER_PROTOCOL_F_SHMEM_MAP)

struct message {
	struct vhost_user_header header;
	union vhost_user_payload payload;
	int fds[FD_PASS_MAX]; /* closed after the handler, unless it took them */
	size_t n_fds;
	uint32_t reply_size; /* of payload, set by handlers of requests with a reply */
};

static void pause_queues(struct backend *backend)
{
	for (size_t i = 0; i < QUEUES_MAX; i++)
		queue_stop(&backend->queues[i]);
	/* Waits for locks end here: their callers see EINTR. */
	__atomic_add_fetch(&backend->fs->epoch, 1, __ATOMIC_ACQ_REL);
	workers_drain(&backend->workers);
}

static int start_queue(struct backend *backend, struct queue *queue)
{
	int ret;

	if (queue->running)
		return 0;
	queue->ring.event_idx = backend->features >> VIRTIO_RING_F_EVENT_IDX & 1;
	ret = queue_start(queue);
	if (ret)
		log_error("queue %u cannot start: %s", queue->index, strerror(-ret));
	return ret;
}

static int resume_queues(struct backend *backend)
{
	int ret = 0;

	for (size_t i = 0; i < QUEUES_MAX; i++) {
		int err = start_queue(backend, &backend->queues[i]);

		ret = ret ? ret : err;
	}
	return ret;
}

static bool negotiated(const struct backend *backend, unsigned int protocol_feature)
{
	return backend->protocol_features >> protocol_feature & 1;
}

static int reply_u64(struct message *message, uint64_t value)
{
	message->payload.u64 = value;
	message->reply_size = sizeof(message->payload.u64);
	return 0;
}

static int get_features(struct backend *backend, struct message *message)
{
	(void)backend;
	return reply_u64(message, BACKEND_FEATURES);
}

static int set_features(struct backend *backend, struct message *message)
{
	if (message->payload.u64 & ~BACKEND_FEATURES)
		return -EINVAL;
	pause_queues(backend);
	backend->features = message->payload.u64;
	/* Without the bit there is no SET_VRING_ENABLE: queues begin enabled. */
	if (!(backend->features >> VHOST_USER_F_PROTOCOL_FEATURES & 1)) {
		for (size_t i = 0; i < QUEUES_MAX; i++)
			backend->queues[i].enabled = true;
	}
	return resume_queues(backend);
}

static uint64_t protocol_features(const struct backend *backend)
{
	return BACKEND_PROTOCOL_FEATURES |
	       (backend->tag ? 1ULL << VHOST_USER_PROTOCOL_F_CONFIG : 0) |
	       (backend->fs->dax ? DAX_PROTOCOL_FEATURES : 0);
}

static int get_protocol_features(struct backend *backend, struct message *message)
{
	return reply_u64(message, protocol_features(backend));
}

static int set_protocol_features(struct backend *backend, struct message *message)
{
	if (message->payload.u64 & ~protocol_features(backend))
		return -EINVAL;
	backend->protocol_features = message->payload.u64;
	return 0;
}

static int get_queue_num(struct backend *backend, struct message *message)
{
	(void)backend;
	return reply_u64(message, QUEUES_MAX);
}

static int ignore(struct backend *backend, struct message *message)
{
	(void)backend;
	(void)message;
	return 0;
}

static int set_mem_table(struct backend *backend, struct message *message)
{
	const struct vhost_user_mem_table *table = &message->payload.mem_table;
	int ret = 0;

	if (message->header.size < 8 || table->n_regions > VHOST_USER_MEM_REGIONS_MAX ||
	    message->header.size < 8 + table->n_regions * sizeof(table->regions[0]) ||
	    table->n_regions != message->n_fds)
		return -EINVAL;
	pause_queues(backend);
	guest_memory_clear(&backend->memory);
	for (uint32_t i = 0; i < table->n_regions && !ret; i++)
		ret = guest_memory_add(&backend->memory, &table->regions[i], message->fds[i]);
	return ret ? ret : resume_queues(backend);
}

static int get_max_mem_slots(struct backend *backend, struct message *message)
{
	(void)backend;
	return reply_u64(message, GUEST_MEMORY_SLOTS);
}

static int add_mem_reg(struct backend *backend, struct message *message)
{
	int ret;

	if (message->n_fds != 1)
		return -EINVAL;
	pause_queues(backend);
	ret = guest_memory_add(&backend->memory, &message->payload.mem_region.region,
			       message->fds[0]);
	return ret ? ret : resume_queues(backend);
}

static int rem_mem_reg(struct backend *backend, struct message *message)
{
	int ret;

	pause_queues(backend);
	ret = guest_memory_remove(&backend->memory, &message->payload.mem_region.region);
	return ret ? ret : resume_queues(backend);
}

static struct queue *find_queue(struct backend *backend, uint32_t index)
{
	return index < QUEUES_MAX ? &backend->queues[index] : NULL;
}

static int set_vring_num(struct backend *backend, struct message *message)
{
	const struct vhost_user_vring_state *state = &message->payload.vring_state;
	struct queue *queue = find_queue(backend, state->index);

	if (!queue || queue->running || !state->num || state->num > VRING_SIZE_MAX ||
	    state->num & (state->num - 1))
		return -EINVAL;
	queue->ring.size = (uint16_t)state->num;
	return 0;
}

static int set_vring_addr(struct backend *backend, struct message *message)
{
	const struct vhost_user_vring_addr *addr = &message->payload.vring_addr;
	struct queue *queue = find_queue(backend, addr->index);

	if (!queue)
		return -EINVAL;
	queue_stop(queue);
	workers_drain(&backend->workers);
	queue->addr = *addr;
	queue->have_addr = true;
	return start_queue(backend, queue);
}

static int set_vring_base(struct backend *backend, struct message *message)
{
	const struct vhost_user_vring_state *state = &message->payload.vring_state;
	struct queue *queue = find_queue(backend, state->index);

	if (!queue || queue->running || state->num > UINT16_MAX)
		return -EINVAL;
	queue->ring.last_avail = (uint16_t)state->num;
	return 0;
}

static int get_vring_base(struct backend *backend, struct message *message)
{
	struct vhost_user_vring_state *state = &message->payload.vring_state;
	struct queue *queue = find_queue(backend, state->index);

	if (!queue)
		return -EINVAL;
	queue_stop(queue);
	__atomic_add_fetch(&backend->fs->epoch, 1, __ATOMIC_ACQ_REL);
	workers_drain(&backend->workers);
	fd_close(&queue->kick_fd);
	queue_set_call(queue, -1);
	queue->have_kick = false;
	queue_revive(queue);
	state->num = queue->ring.last_avail;
	message->reply_size = sizeof(*state);
	return 0;
}

/* Takes the descriptor of a SET_VRING_KICK, _CALL or _ERR: -1 where none was to come. */
static int take_vring_fd(struct backend *backend, struct message *message, struct queue **ret_queue,
			 int *ret_fd)
{
	uint64_t value = message->payload.u64;
	struct queue *queue = find_queue(backend, value & VHOST_USER_VRING_INDEX_MASK);

	if (!queue || message->n_fds != (value & VHOST_USER_VRING_NOFD ? 0 : 1))
		return -EINVAL;
	*ret_fd = message->n_fds ? fd_steal(&message->fds[0]) : -1;
	*ret_queue = queue;
	return 0;
}

static int set_vring_kick(struct backend *backend, struct message *message)
{
	struct queue *queue;
	int fd;
	int ret = take_vring_fd(backend, message, &queue, &fd);

	if (ret)
		return ret;
	queue_stop(queue);
	fd_close(&queue->kick_fd);
	queue->kick_fd = fd;
	queue->have_kick = fd >= 0; /* without an eventfd we would have to poll: not supported */
	return start_queue(backend, queue);
}

static int set_vring_call(struct backend *backend, struct message *message)
{
	struct queue *queue;
	int fd;
	int ret = take_vring_fd(backend, message, &queue, &fd);

	if (!ret)
		queue_set_call(queue, fd);
	return ret;
}

static int set_vring_err(struct backend *backend, struct message *message)
{
	struct queue *queue;
	int fd;
	int ret = take_vring_fd(backend, message, &queue, &fd);

	if (ret)
		return ret;
	queue_stop(queue);
	fd_close(&queue->err_fd);
	queue->err_fd = fd;
	return start_queue(backend, queue);
}

static int set_vring_enable(struct backend *backend, struct message *message)
{
	const struct vhost_user_vring_state *state = &message->payload.vring_state;
	struct queue *queue = find_queue(backend, state->index);

	if (!queue || state->num > 1)
		return -EINVAL;
	queue->enabled = state->num;
	if (queue->enabled)
		return start_queue(backend, queue);
	queue_stop(queue);
	return 0;
}

static int get_config(struct backend *backend, struct message *message)
{
	struct vhost_user_config *config = &message->payload.config;
	struct virtio_fs_config space = { .num_request_queues = htole32(1) };

	message->reply_size = message->header.size;
	if (!backend->tag || message->header.size < VHOST_USER_CONFIG_HEADER_SIZE ||
	    config->size > VHOST_USER_CONFIG_MAX ||
	    config->size != message->header.size - VHOST_USER_CONFIG_HEADER_SIZE ||
	    config->offset > sizeof(space) || config->size > sizeof(space) - config->offset) {
		message->reply_size = 0;
		return 0;
	}
	memcpy(space.tag, backend->tag, strnlen(backend->tag, TAG_MAX));
	memcpy(config->data, (const uint8_t *)&space + config->offset, config->size);
	return 0;
}

static int get_shmem_config(struct backend *backend, struct message *message)
{
	struct vhost_user_shmem_config *config = &message->payload.shmem_config;

	memset(config, 0, sizeof(*config));
	config->sizes[DAX_SHMID] = dax_size(backend->fs->dax);
	config->n_regions = config->sizes[DAX_SHMID] != 0;
	message->reply_size = sizeof(*config);
	return 0;
}

static int set_backend_req_fd(struct backend *backend, struct message *message)
{
	if (message->n_fds != 1)
		return -EINVAL;
	if (!negotiated(backend, VHOST_USER_PROTOCOL_F_SHMEM_MAP) ||
	    !negotiated(backend, VHOST_USER_PROTOCOL_F_REPLY_ACK) || !backend->fs->dax)
		return 0; /* there is nothing to ask for */
	/* Whoever keeps a session for us keeps its mappings, too. */
	dax_connect(backend->fs->dax, fd_steal(&message->fds[0]), backend->fs->config.session);
	return 0;
}

static int reset_device(struct backend *backend, struct message *message)
{
	(void)message;
	pause_queues(backend);
	for (size_t i = 0; i < QUEUES_MAX; i++) {
		struct queue *queue = &backend->queues[i];

		queue->enabled = false;
		queue_revive(queue);
		queue->ring.last_avail = 0;
	}
	session_ended(backend->fs);
	fs_reset(backend->fs);
	return 0;
}

#define ANY_SIZE UINT32_MAX

static const struct message_row {
	const char *name;
	int (*handler)(struct backend *backend, struct message *message);
	uint32_t size; /* of the payload */
	bool replies;
} rows[VHOST_USER_REQUEST_END] = {
	[VHOST_USER_GET_FEATURES] = { "GET_FEATURES", get_features, 0, true },
	[VHOST_USER_SET_FEATURES] = { "SET_FEATURES", set_features, 8, false },
	[VHOST_USER_SET_OWNER] = { "SET_OWNER", ignore, 0, false },
	[VHOST_USER_RESET_OWNER] = { "RESET_OWNER", ignore, 0, false },
	[VHOST_USER_SET_MEM_TABLE] = { "SET_MEM_TABLE", set_mem_table, ANY_SIZE, false },
	[VHOST_USER_SET_VRING_NUM] = { "SET_VRING_NUM", set_vring_num, 8, false },
	[VHOST_USER_SET_VRING_ADDR] = { "SET_VRING_ADDR", set_vring_addr, 40, false },
	[VHOST_USER_SET_VRING_BASE] = { "SET_VRING_BASE", set_vring_base, 8, false },
	[VHOST_USER_GET_VRING_BASE] = { "GET_VRING_BASE", get_vring_base, 8, true },
	[VHOST_USER_SET_VRING_KICK] = { "SET_VRING_KICK", set_vring_kick, 8, false },
	[VHOST_USER_SET_VRING_CALL] = { "SET_VRING_CALL", set_vring_call, 8, false },
	[VHOST_USER_SET_VRING_ERR] = { "SET_VRING_ERR", set_vring_err, 8, false },
	[VHOST_USER_GET_PROTOCOL_FEATURES] = { "GET_PROTOCOL_FEATURES", get_protocol_features, 0,
					       true },
	[VHOST_USER_SET_PROTOCOL_FEATURES] = { "SET_PROTOCOL_FEATURES", set_protocol_features, 8,
					       false },
	[VHOST_USER_GET_QUEUE_NUM] = { "GET_QUEUE_NUM", get_queue_num, 0, true },
	[VHOST_USER_SET_VRING_ENABLE] = { "SET_VRING_ENABLE", set_vring_enable, 8, false },
	[VHOST_USER_SET_BACKEND_REQ_FD] = { "SET_BACKEND_REQ_FD", set_backend_req_fd, 0, false },
	[VHOST_USER_GET_SHMEM_CONFIG] = { "GET_SHMEM_CONFIG", get_shmem_config, 0, true },
	[VHOST_USER_GET_CONFIG] = { "GET_CONFIG", get_config, ANY_SIZE, true },
	[VHOST_USER_RESET_DEVICE] = { "RESET_DEVICE", reset_device, 0, false },
	[VHOST_USER_GET_MAX_MEM_SLOTS] = { "GET_MAX_MEM_SLOTS", get_max_mem_slots, 0, true },
	[VHOST_USER_ADD_MEM_REG] = { "ADD_MEM_REG", add_mem_reg, 40, false },
	[VHOST_USER_REM_MEM_REG] = { "REM_MEM_REG", rem_mem_reg, 40, false },
};

static int receive(struct backend *backend, struct message *message)
{
	size_t have = 0;

	while (have < sizeof(message->header)) {
		int fds[FD_PASS_MAX];
		size_t n_fds = 0;
		ssize_t got = fd_recv(backend->connection, (uint8_t *)&message->header + have,
				      sizeof(message->header) - have, fds, &n_fds);

		if (got <= 0)
			return got ? (int)got : -ECONNRESET;
		have += (size_t)got;
		for (size_t i = 0; i < n_fds; i++) {
			if (message->n_fds < FD_PASS_MAX)
				message->fds[message->n_fds++] = fds[i];
			else
				close(fds[i]);
		}
	}
	if ((message->header.flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION ||
	    message->header.size > sizeof(message->payload))
		return -EPROTO;
	if (!message->header.size)
		return 0;
	have = 0;
	while (have < message->header.size) {
		ssize_t got = recv(backend->connection, (uint8_t *)&message->payload + have,
				   message->header.size - have, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -ECONNRESET;
		have += (size_t)got;
	}
	return 0;
}

static int send_reply(struct backend *backend, struct message *message)
{
	uint8_t bytes[sizeof(message->header) + sizeof(message->payload)];

	message->header.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
	message->header.size = message->reply_size;
	memcpy(bytes, &message->header, sizeof(message->header));
	memcpy(bytes + sizeof(message->header), &message->payload, message->reply_size);
	return fd_send(backend->connection, bytes, sizeof(message->header) + message->reply_size,
		       NULL, 0);
}

/* A message with a reply must get one; one without is acknowledged where the front end asked. A
 * failure that cannot be told any other way ends the connection. */
static int handle(struct backend *backend, struct message *message)
{
	uint32_t request = message->header.request;
	const struct message_row *row = request < VHOST_USER_REQUEST_END ? &rows[request] : NULL;
	bool want_ack = message->header.flags & VHOST_USER_FLAG_NEED_REPLY &&
			negotiated(backend, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	int ret;

	if (!row || !row->handler)
		ret = -EOPNOTSUPP;
	else if (row->size != ANY_SIZE && row->size != message->header.size)
		ret = -EINVAL;
	else
		ret = row->handler(backend, message);
	if (ret)
		log_ratelimited(&backend->bad_messages, LOG_LEVEL_ERROR,
				"the front end's %s (%u): %s",
				row && row->name ? row->name : "message", request, strerror(-ret));
	if (row && row->replies)
		return ret ? ret : send_reply(backend, message);
	if (!want_ack)
		return ret;
	reply_u64(message, ret ? 1 : 0);
	return send_reply(backend, message);
}

int backend_message(struct backend *backend)
{
	struct message message = { .n_fds = 0 };
	int ret;

	backend->busy = true;
	ret = receive(backend, &message);
	if (!ret)
		ret = handle(backend, &message);
	for (size_t i = 0; i < message.n_fds; i++)
		fd_close(&message.fds[i]);
	backend->busy = false;
	return ret;
}

int backend_recover(struct backend *backend)
{
	int ret;

	if (backend->busy)
		return -EPROTO;
	workers_init(&backend->workers);
	ret = guest_memory_resume(&backend->memory);
	for (unsigned int i = 0; i < QUEUES_MAX; i++)
		queue_recover(&backend->queues[i]);
	return ret ? ret : resume_queues(backend);
}

void backend_each_fd(const struct backend *backend, void (*keep)(void *opaque, int fd),
		     void *opaque)
{
	keep(opaque, backend->connection);
	for (unsigned int i = 0; i < backend->memory.n_regions; i++)
		keep(opaque, backend->memory.regions[i].fd);
	for (unsigned int i = 0; i < QUEUES_MAX; i++) {
		keep(opaque, backend->queues[i].kick_fd);
		keep(opaque, backend->queues[i].call_fd);
		keep(opaque, backend->queues[i].err_fd);
	}
}

static void init_queue(struct backend *backend, unsigned int index)
{
	queue_init(&backend->queues[index], index, backend->fs, &backend->memory, &backend->workers,
		   &backend->records[index]);
}

static void release(struct backend *backend)
{
	shared_free(backend->records, RECORDS_SIZE);
	shared_free(backend, sizeof(*backend));
}

int backend_create(struct fs *fs, const char *tag, struct backend **ret_backend)
{
	struct backend *backend = shared_alloc(sizeof(*backend));

	if (!backend)
		return -ENOMEM;
	backend->records = shared_alloc(RECORDS_SIZE);
	if (!backend->records) {
		release(backend);
		return -ENOMEM;
	}
	workers_init(&backend->workers);
	backend->fs = fs;
	backend->tag = tag;
	backend->connection = -1;
	backend->memory.dax = fs->dax;
	for (unsigned int i = 0; i < QUEUES_MAX; i++)
		init_queue(backend, i);
	*ret_backend = backend;
	return 0;
}

void backend_connect(struct backend *backend, int fd)
{
	struct timeval timeout = { .tv_sec = MESSAGE_TIMEOUT_S };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	backend->connection = fd;
}

void backend_disconnect(struct backend *backend)
{
	pause_queues(backend);
	for (unsigned int i = 0; i < QUEUES_MAX; i++) {
		/* A later server must not do for the next front end what this one left. */
		queue_revive(&backend->queues[i]);
		queue_fini(&backend->queues[i]);
		init_queue(backend, i);
	}
	guest_memory_clear(&backend->memory);
	backend->features = 0;
	backend->protocol_features = 0;
	dax_disconnect(backend->fs->dax);
	fs_reset(backend->fs);
	fd_close(&backend->connection);
}

void backend_destroy(struct backend *backend)
{
	if (!backend)
		return;
	backend_disconnect(backend);
	for (unsigned int i = 0; i < QUEUES_MAX; i++)
		queue_fini(&backend->queues[i]);
	workers_fini(&backend->workers);
	release(backend);
}
