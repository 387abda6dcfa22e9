// SPDX-License-Identifier: GPL-2.0-or-later
/* vhost-user front end: negotiation, memory table, queues. */
#include "host-vmm/vhost-user/frontend.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>

#include <lodge/vhost_user.h>

#include "host-vmm/memory.h"
#include "host-vmm/vhost-user/inflight.h"
#include "host-vmm/vhost-user/wire.h"
#include "protocol/lib/fd.h"

#define BIT(n)		     (1ull << (n))
#define VHOST_USER_SHMEM_IDS 1 /* ids that a device of ours uses: 0 alone */

/* What we can make use of; the rest that a back end offers is left alone. */
#define PROTOCOL_FEATURES_WANTED                                                         \
	(BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |          \
	 BIT(VHOST_USER_PROTOCOL_F_STATUS) | BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) | \
	 BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE) | BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
/* And for a device with shared memory. All or none: the one is of no use without the others. */
#define PROTOCOL_FEATURES_SHMEM                                                          \
	(BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) | \
	 BIT(VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD) | BIT(VHOST_USER_PROTOCOL_F_SHMEM_MAP))

struct vhost_user {
	struct vhost_wire wire;
	uint64_t features; /* the back end's, without bit 30 */
	bool has_protocol; /* bit 30 */
	uint64_t protocol; /* negotiated */
	unsigned int queue_limit;
	uint64_t mem_slots; /* 0: SET_MEM_TABLE is used */
	bool want_shmem;
	uint64_t shmem_sizes[VHOST_USER_SHMEM_IDS];
	bool memory_added; /* by ADD_MEM_REG, which holds for the connection's life */
	unsigned int n_started; /* queues */
	uint64_t rings_started; /* bit for each that has a ring */
	struct vhost_inflight inflight;
};

static bool has(const struct vhost_user *vu, unsigned int bit)
{
	return vu->protocol & BIT(bit);
}

int vhost_user_create(int socket, unsigned int timeout_ms, struct vhost_user **ret_vu)
{
	struct vhost_user *vu = calloc(1, sizeof(*vu));
	int ret;

	if (!vu) {
		close(socket);
		return -ENOMEM;
	}
	vu->inflight.fd = -1;
	ret = vhost_wire_init(&vu->wire, socket);
	if (ret) {
		vhost_user_destroy(vu);
		return ret;
	}
	vhost_user_set_timeout(vu, timeout_ms);
	*ret_vu = vu;
	return 0;
}

void vhost_user_set_timeout(struct vhost_user *vu, unsigned int timeout_ms)
{
	vu->wire.timeout_ms = timeout_ms ? timeout_ms : VHOST_WIRE_TIMEOUT_MS;
}

void vhost_user_destroy(struct vhost_user *vu)
{
	if (!vu)
		return;
	vhost_inflight_finish(&vu->inflight);
	vhost_wire_finish(&vu->wire);
	free(vu);
}

static int get_u64(struct vhost_user *vu, uint32_t request, uint64_t *ret_value)
{
	int ret = vhost_wire_send(&vu->wire, request, 0, NULL, 0, NULL, 0);

	return ret ? ret : vhost_wire_reply(&vu->wire, request, ret_value, sizeof(uint64_t), NULL);
}

/* A request that may be refused: asks for an ack where the back end can give one. */
static int send_acked(struct vhost_user *vu, uint32_t request, const void *payload, size_t len,
		      const int *fds, size_t n_fds)
{
	uint32_t flags = has(vu, VHOST_USER_PROTOCOL_F_REPLY_ACK) ? VHOST_USER_FLAG_NEED_REPLY : 0;

	return vhost_wire_send(&vu->wire, request, flags, payload, len, fds, n_fds);
}

static int take_ack(struct vhost_user *vu, uint32_t request)
{
	char room[24];
	uint64_t status;
	int ret;

	if (!has(vu, VHOST_USER_PROTOCOL_F_REPLY_ACK))
		return 0;
	ret = vhost_wire_reply(&vu->wire, request, &status, sizeof(status), NULL);
	if (ret || !status)
		return ret;
	return vhost_wire_fail(&vu->wire, -EREMOTEIO, "refused %s",
			       vhost_request_name(request, room));
}

static int request_acked(struct vhost_user *vu, uint32_t request, const void *payload, size_t len,
			 const int *fds, size_t n_fds)
{
	int ret = send_acked(vu, request, payload, len, fds, n_fds);

	return ret ? ret : take_ack(vu, request);
}

/* Ids that we have no use for are left alone; their sizes are not looked at. */
static int get_shmem(struct vhost_user *vu)
{
	struct vhost_user_shmem_config config;
	int ret;

	memset(vu->shmem_sizes, 0, sizeof(vu->shmem_sizes));
	if (!has(vu, VHOST_USER_PROTOCOL_F_SHMEM_MAP))
		return 0;
	ret = vhost_wire_send(&vu->wire, VHOST_USER_GET_SHMEM_CONFIG, 0, NULL, 0, NULL, 0);
	if (!ret)
		ret = vhost_wire_reply(&vu->wire, VHOST_USER_GET_SHMEM_CONFIG, &config,
				       sizeof(config), NULL);
	if (!ret)
		memcpy(vu->shmem_sizes, config.sizes, sizeof(vu->shmem_sizes));
	return ret;
}

static int negotiate_protocol(struct vhost_user *vu)
{
	uint64_t offered;
	int ret;

	vu->queue_limit = 0;
	if (!vu->has_protocol)
		return 0;
	ret = get_u64(vu, VHOST_USER_GET_PROTOCOL_FEATURES, &offered);
	if (ret)
		return ret;
	offered &= PROTOCOL_FEATURES_WANTED | (vu->want_shmem ? PROTOCOL_FEATURES_SHMEM : 0);
	if ((offered & PROTOCOL_FEATURES_SHMEM) != PROTOCOL_FEATURES_SHMEM)
		offered &= PROTOCOL_FEATURES_WANTED;
	ret = vhost_wire_send(&vu->wire, VHOST_USER_SET_PROTOCOL_FEATURES, 0, &offered,
			      sizeof(offered), NULL, 0);
	if (ret)
		return ret;
	vu->protocol = offered;
	if (has(vu, VHOST_USER_PROTOCOL_F_MQ)) {
		uint64_t limit;

		ret = get_u64(vu, VHOST_USER_GET_QUEUE_NUM, &limit);
		if (ret)
			return ret;
		vu->queue_limit = limit < VHOST_USER_QUEUES_MAX ? (unsigned int)limit
								: VHOST_USER_QUEUES_MAX;
	}
	if (has(vu, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		ret = get_u64(vu, VHOST_USER_GET_MAX_MEM_SLOTS, &vu->mem_slots);
	return ret ? ret : get_shmem(vu);
}

int vhost_user_handshake(struct vhost_user *vu, uint64_t needed)
{
	uint64_t features, missing;
	int ret;

	vhost_wire_begin(&vu->wire);
	ret = get_u64(vu, VHOST_USER_GET_FEATURES, &features);
	if (ret)
		return ret;
	missing = needed & ~features;
	if (missing)
		return vhost_wire_fail(&vu->wire, -ENOTSUP, "lacks virtio feature bit %d",
				       __builtin_ctzll(missing));
	vu->has_protocol = features & BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	vu->features = features & ~BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	ret = negotiate_protocol(vu);
	if (ret)
		return ret;
	return request_acked(vu, VHOST_USER_SET_OWNER, NULL, 0, NULL, 0);
}

uint64_t vhost_user_features(const struct vhost_user *vu)
{
	return vu->features;
}

unsigned int vhost_user_queue_limit(const struct vhost_user *vu)
{
	return vu->queue_limit;
}

void vhost_user_want_shmem(struct vhost_user *vu)
{
	vu->want_shmem = true;
}

uint64_t vhost_user_shmem_size(const struct vhost_user *vu, uint8_t shmid)
{
	return shmid < VHOST_USER_SHMEM_IDS ? vu->shmem_sizes[shmid] : 0;
}

int vhost_user_set_backend_fd(struct vhost_user *vu, int fd)
{
	vhost_wire_begin(&vu->wire);
	return request_acked(vu, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &fd, 1);
}

static struct vhost_user_mem_region wire_region(const struct memory_region *region)
{
	return (struct vhost_user_mem_region){
		.guest_addr = region->gpa,
		.size = region->size,
		.user_addr = (uintptr_t)region->host,
		.mmap_offset = region->file_offset,
	};
}

static int add_regions(struct vhost_user *vu, int fd, const struct memory_region *regions,
		       size_t count)
{
	int ret;

	if (vu->memory_added)
		return 0;
	if (count > vu->mem_slots)
		return vhost_wire_fail(&vu->wire, -ENOTSUP, "has %llu memory slots, %zu are needed",
				       (unsigned long long)vu->mem_slots, count);
	for (size_t i = 0; i < count; i++) {
		struct vhost_user_single_region one = { .region = wire_region(&regions[i]) };

		ret = request_acked(vu, VHOST_USER_ADD_MEM_REG, &one, sizeof(one), &fd, 1);
		if (ret)
			return ret;
	}
	vu->memory_added = true;
	return 0;
}

static int set_memory(struct vhost_user *vu, const struct memory *memory)
{
	struct vhost_user_mem_table table = { 0 };
	int fds[VHOST_USER_MEM_REGIONS_MAX];
	const struct memory_region *regions;
	size_t count;

	regions = memory_regions(memory, &count);
	if (vu->mem_slots)
		return add_regions(vu, memory_fd(memory), regions, count);
	if (count > VHOST_USER_MEM_REGIONS_MAX)
		return -E2BIG;
	table.n_regions = (uint32_t)count;
	for (size_t i = 0; i < count; i++) {
		table.regions[i] = wire_region(&regions[i]);
		fds[i] = memory_fd(memory);
	}
	return request_acked(vu, VHOST_USER_SET_MEM_TABLE, &table,
			     offsetof(struct vhost_user_mem_table, regions) +
				     count * sizeof(table.regions[0]),
			     fds, count);
}

static int set_inflight(struct vhost_user *vu, const struct vhost_user_vring *rings, unsigned int n)
{
	struct vhost_user_inflight shape = { .n_queues = (uint16_t)n };
	struct vhost_user_inflight answer;
	int fd = -1;
	int ret;

	if (!has(vu, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))
		return 0;
	for (unsigned int i = 0; i < n; i++) {
		if (rings[i].size > shape.queue_size)
			shape.queue_size = rings[i].size;
	}
	ret = vhost_wire_send(&vu->wire, VHOST_USER_GET_INFLIGHT_FD, 0, &shape, sizeof(shape), NULL,
			      0);
	if (ret)
		return ret;
	ret = vhost_wire_reply(&vu->wire, VHOST_USER_GET_INFLIGHT_FD, &answer, sizeof(answer), &fd);
	if (ret)
		return ret;
	if (vhost_inflight_init(&vu->inflight, fd, &answer, n, shape.queue_size))
		return vhost_wire_fail(&vu->wire, -EPROTO,
				       "answered GET_INFLIGHT_FD with no such "
				       "memory");
	/* Its own numbers go back as they came: how it divides the buffer is its business. */
	return request_acked(vu, VHOST_USER_SET_INFLIGHT_FD, &answer, sizeof(answer), &fd, 1);
}

/* The address that the memory table gave to [gpa, gpa + len). */
static int user_address(const struct memory *memory, uint64_t gpa, uint64_t len, __u64 *ret_user)
{
	size_t count;
	const struct memory_region *regions = memory_regions(memory, &count);

	for (size_t i = 0; i < count; i++) {
		const struct memory_region *region = &regions[i];

		if (gpa >= region->gpa && gpa - region->gpa < region->size &&
		    len <= region->size - (gpa - region->gpa)) {
			*ret_user = (uintptr_t)region->host + (gpa - region->gpa);
			return 0;
		}
	}
	return -EFAULT;
}

/* Areas of a split ring: virtio 1.2, section 2.7. */
static int ring_address(const struct memory *memory, const struct vhost_user_vring *ring,
			unsigned int index, struct vhost_user_vring_addr *ret_addr)
{
	struct vhost_user_vring_addr addr = { .index = index };
	int ret;

	ret = user_address(memory, ring->desc, 16ull * ring->size, &addr.descriptor);
	if (!ret)
		ret = user_address(memory, ring->available, 6 + 2ull * ring->size, &addr.available);
	if (!ret)
		ret = user_address(memory, ring->used, 6 + 8ull * ring->size, &addr.used);
	if (!ret)
		*ret_addr = addr;
	return ret;
}

static int send_ring_fd(struct vhost_user *vu, uint32_t request, unsigned int index, int fd)
{
	uint64_t payload = index;

	if (fd < 0)
		payload |= VHOST_USER_VRING_NOFD;
	return send_acked(vu, request, &payload, sizeof(payload), &fd, fd >= 0);
}

/* Sends a queue's whole set-up, then reads the acks: one wake-up of each side, not six. */
static int set_ring(struct vhost_user *vu, unsigned int index, const struct vhost_user_vring *ring,
		    const struct vhost_user_vring_addr *addr)
{
	/* The kick comes last: it starts the queue, which may signal at once. */
	static const uint32_t order[] = {
		VHOST_USER_SET_VRING_NUM,  VHOST_USER_SET_VRING_BASE, VHOST_USER_SET_VRING_ADDR,
		VHOST_USER_SET_VRING_CALL, VHOST_USER_SET_VRING_ERR,  VHOST_USER_SET_VRING_KICK,
	};
	struct vhost_user_vring_state num = { index, ring->size };
	struct vhost_user_vring_state base = { index, ring->base };
	int ret;

	ret = send_acked(vu, VHOST_USER_SET_VRING_NUM, &num, sizeof(num), NULL, 0);
	if (!ret)
		ret = send_acked(vu, VHOST_USER_SET_VRING_BASE, &base, sizeof(base), NULL, 0);
	if (!ret)
		ret = send_acked(vu, VHOST_USER_SET_VRING_ADDR, addr, sizeof(*addr), NULL, 0);
	if (!ret)
		ret = send_ring_fd(vu, VHOST_USER_SET_VRING_CALL, index, ring->call_fd);
	if (!ret)
		ret = send_ring_fd(vu, VHOST_USER_SET_VRING_ERR, index, ring->err_fd);
	if (!ret)
		ret = send_ring_fd(vu, VHOST_USER_SET_VRING_KICK, index, ring->kick_fd);
	for (size_t i = 0; !ret && i < sizeof(order) / sizeof(order[0]); i++)
		ret = take_ack(vu, order[i]);
	return ret;
}

static int enable_ring(struct vhost_user *vu, unsigned int index)
{
	struct vhost_user_vring_state state = { index, 1 };

	/* Without bit 30 a queue is enabled from its kick on. */
	if (!vu->has_protocol)
		return 0;
	return request_acked(vu, VHOST_USER_SET_VRING_ENABLE, &state, sizeof(state), NULL, 0);
}

static int set_status(struct vhost_user *vu, uint64_t status)
{
	if (!has(vu, VHOST_USER_PROTOCOL_F_STATUS))
		return 0;
	return request_acked(vu, VHOST_USER_SET_STATUS, &status, sizeof(status), NULL, 0);
}

static int start_rings(struct vhost_user *vu, const struct vhost_user_vring *rings,
		       const struct vhost_user_vring_addr *addrs, unsigned int n)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < n; i++) {
		if (rings[i].size)
			ret = set_ring(vu, i, &rings[i], &addrs[i]);
	}
	for (unsigned int i = 0; !ret && i < n; i++) {
		if (rings[i].size)
			ret = enable_ring(vu, i);
	}
	return ret;
}

int vhost_user_start(struct vhost_user *vu, uint64_t driver_features, const struct memory *memory,
		     const struct vhost_user_vring *rings, unsigned int n)
{
	const uint64_t agreed = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
				VIRTIO_CONFIG_S_FEATURES_OK;
	struct vhost_user_vring_addr addrs[VHOST_USER_QUEUES_MAX];
	uint64_t features = driver_features & vu->features;
	int ret;

	if (!n || n > VHOST_USER_QUEUES_MAX || vu->n_started)
		return -EINVAL;
	vhost_inflight_finish(&vu->inflight);
	for (unsigned int i = 0; i < n; i++) {
		ret = rings[i].size ? ring_address(memory, &rings[i], i, &addrs[i]) : 0;
		if (ret)
			return ret;
	}
	if (vu->has_protocol)
		features |= BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	vhost_wire_begin(&vu->wire);
	ret = request_acked(vu, VHOST_USER_SET_FEATURES, &features, sizeof(features), NULL, 0);
	if (!ret)
		ret = set_status(vu, agreed);
	if (!ret)
		ret = set_memory(vu, memory);
	if (!ret)
		ret = set_inflight(vu, rings, n);
	if (ret)
		return ret;
	/* From the first queue on the back end may touch memory, so a failure must stop it. */
	vu->n_started = n;
	vu->rings_started = 0;
	for (unsigned int i = 0; i < n; i++)
		vu->rings_started |= rings[i].size ? BIT(i) : 0;
	ret = start_rings(vu, rings, addrs, n);
	return ret ? ret : set_status(vu, agreed | VIRTIO_CONFIG_S_DRIVER_OK);
}

static int stop_ring(struct vhost_user *vu, unsigned int index, uint16_t *ret_base)
{
	struct vhost_user_vring_state state = { index, 0 };
	int ret;

	ret = vhost_wire_send(&vu->wire, VHOST_USER_GET_VRING_BASE, 0, &state, sizeof(state), NULL,
			      0);
	if (!ret)
		ret = vhost_wire_reply(&vu->wire, VHOST_USER_GET_VRING_BASE, &state, sizeof(state),
				       NULL);
	if (ret)
		return ret;
	if (state.index != index)
		return vhost_wire_fail(&vu->wire, -EPROTO,
				       "answered GET_VRING_BASE for another queue");
	*ret_base = (uint16_t)state.num;
	return 0;
}

int vhost_user_stop(struct vhost_user *vu, uint16_t *ret_bases)
{
	unsigned int n = vu->n_started;
	int ret = 0;

	vu->n_started = 0;
	if (!n)
		return 0;
	vhost_wire_begin(&vu->wire);
	for (unsigned int i = 0; !ret && i < n; i++) {
		uint16_t base = 0;

		if (vu->rings_started & BIT(i))
			ret = stop_ring(vu, i, &base);
		if (!ret && ret_bases)
			ret_bases[i] = base;
	}
	if (!ret && has(vu, VHOST_USER_PROTOCOL_F_STATUS))
		return set_status(vu, 0);
	if (!ret && has(vu, VHOST_USER_PROTOCOL_F_RESET_DEVICE))
		ret = request_acked(vu, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0);
	return ret;
}

int vhost_user_inflight(const struct vhost_user *vu, unsigned int queue, uint16_t used_index,
			uint16_t *ret_heads, size_t max)
{
	return vhost_inflight_heads(&vu->inflight, queue, used_index, ret_heads, max);
}

int vhost_user_fd(const struct vhost_user *vu)
{
	return vu->wire.socket;
}

int vhost_user_check(struct vhost_user *vu)
{
	return vhost_wire_idle_check(&vu->wire);
}

const char *vhost_user_why(const struct vhost_user *vu)
{
	return vu->wire.why;
}
