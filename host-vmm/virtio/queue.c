// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Split virtqueues, the device's side: rings, chains, indirect tables, event index.
 *
 * Theory of operation. The driver writes heads of descriptor chains into the available ring and
 * moves its index; we move the used ring's. Three values are shared without a lock, and each has
 * one barrier pair (virtio 1.2 section 2.7.13 and 2.7.14):
 *
 *   - avail->idx: the driver's release, our acquire, before the ring entry and the chain are read;
 *   - used->idx: our release, after the used element and the data were written;
 *   - the two "do you want to be told" words: each side writes its wish (or its index) and then,
 *     behind a full barrier, reads the other's index (or wish). Either the writer sees the wish or
 *     the wisher sees the index, so no wake-up is lost.
 *
 * The driver may change any byte at any time. So each word is loaded exactly once into a local, by
 * the accessors below, which are the only code here that touches the mapping; what was checked is
 * what is used. Pages of the rings may have been given back to the host: they then read as zeroes.
 */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <unistd.h>

#include "host-vmm/irq.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/queue.h"

/* Layout of virtio 1.2 sections 2.7.5, 2.7.6 and 2.7.8. x86 hosts: little-endian as it is. */
#define DESC_BYTES     16u
#define AVAIL_BYTES(n) (6u + 2u * (n))
#define AVAIL_FLAGS    0u
#define AVAIL_IDX      2u
#define AVAIL_ENTRY(i) (4u + 2u * (i))
#define AVAIL_EVENT(n) (4u + 2u * (n)) /* used_event */
#define USED_BYTES(n)  (6u + 8u * (n))
#define USED_FLAGS     0u
#define USED_IDX       2u
#define USED_ENTRY(i)  (4u + 8u * (i))
#define USED_EVENT(n)  (4u + 8u * (n)) /* avail_event */

/* An indirect table needs no alignment, so its words have none. */
typedef uint64_t __attribute__((aligned(1))) loose_u64;

struct descriptor {
	uint64_t address;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

static inline uint16_t ring_load(const void *area, size_t offset)
{
	return __atomic_load_n((const uint16_t *)((const char *)area + offset), __ATOMIC_ACQUIRE);
}

static inline void ring_store(void *area, size_t offset, uint16_t value)
{
	__atomic_store_n((uint16_t *)((char *)area + offset), value, __ATOMIC_RELEASE);
}

static inline void ring_store_used(void *area, size_t offset, uint32_t id, uint32_t len)
{
	uint32_t *element = (uint32_t *)((char *)area + offset);

	__atomic_store_n(&element[0], id, __ATOMIC_RELAXED);
	__atomic_store_n(&element[1], len, __ATOMIC_RELAXED);
}

static inline struct descriptor table_load(const void *table, unsigned int index)
{
	const volatile loose_u64 *words =
		(const volatile loose_u64 *)((const char *)table + (size_t)index * DESC_BYTES);
	uint64_t address = words[0];
	uint64_t rest = words[1];

	return (struct descriptor){
		.address = address,
		.len = (uint32_t)rest,
		.flags = (uint16_t)(rest >> 32),
		.next = (uint16_t)(rest >> 48),
	};
}

void virtqueue_break(struct virtqueue *vq, const char *why)
{
	if (vq->broken)
		return;
	vq->broken = true;
	vq->broken_why = why;
}

static int refuse(struct virtqueue *vq, const char *why)
{
	virtqueue_break(vq, why);
	return -EPROTO;
}

/* One of the three areas: present, aligned, whole in RAM. */
static void *map_area(struct virtqueue *vq, uint64_t address, size_t len, uint64_t align)
{
	struct iovec iov;

	if (address == 0 || address % align != 0)
		return NULL;
	if (memory_iov(vq->memory, address, len, &iov) < 0)
		return NULL;
	return iov.iov_base;
}

static int map_areas(struct virtqueue *vq)
{
	unsigned int n = vq->size;

	vq->desc_host = map_area(vq, vq->desc, (size_t)DESC_BYTES * n, 16);
	vq->driver_host = map_area(vq, vq->driver, AVAIL_BYTES(n), 2);
	vq->device_host = map_area(vq, vq->device, USED_BYTES(n), 4);
	if (!vq->desc_host)
		virtqueue_break(vq, "descriptor table is not in RAM");
	else if (!vq->driver_host)
		virtqueue_break(vq, "driver area is not in RAM");
	else if (!vq->device_host)
		virtqueue_break(vq, "device area is not in RAM");
	return vq->broken ? -EINVAL : 0;
}

int virtqueue_enable(struct virtqueue *vq)
{
	int ret;

	if (vq->size == 0 || vq->size > vq->max_size || (vq->size & (vq->size - 1)) != 0) {
		virtqueue_break(vq, "size of the queue is not a power of two within its maximum");
		return -EINVAL;
	}
	ret = map_areas(vq);
	if (ret < 0)
		return ret;
	vq->last_avail = 0;
	vq->avail = 0;
	vq->used = 0;
	vq->signalled_valid = false;
	vq->enabled = true;
	return 0;
}

void virtqueue_reset(struct virtqueue *vq)
{
	/* Field by field: a vCPU may ring kick_fd meanwhile, which must never be another number. */
	vq->size = vq->max_size;
	vq->desc = vq->driver = vq->device = 0;
	vq->enabled = vq->event_idx = vq->indirect = false;
	__atomic_store_n(&vq->msi, NULL, __ATOMIC_RELEASE);
	vq->broken = false;
	vq->broken_why = NULL;
	vq->last_avail = vq->avail = vq->used = vq->signalled = 0;
	vq->signalled_valid = false;
	vq->desc_host = vq->driver_host = vq->device_host = NULL;
	vq->kicks = vq->interrupts = 0;
}

/* A chain while it is walked: what was seen and where the next descriptor comes from. */
struct walk {
	const void *table;
	unsigned int entries; /* of the table */
	unsigned int budget; /* descriptors that may still be visited */
	bool indirect;
	uint64_t total;
};

static int walk_add(struct virtqueue *vq, struct virtq_chain *chain, struct walk *walk,
		    const struct descriptor *desc)
{
	bool writable = (desc->flags & VRING_DESC_F_WRITE) != 0;

	if (!writable && chain->n_in > 0)
		return refuse(vq, "readable descriptor behind a writable one");
	/* Nothing to transfer, so nothing to check: drivers may pad with such. */
	if (desc->len == 0)
		return 0;
	walk->total += desc->len;
	if (walk->total > UINT32_MAX)
		return refuse(vq, "chain of more than 4 GiB");
	if (chain->n_out + chain->n_in >= chain->iov_max)
		return refuse(vq, "chain of more descriptors than the device takes");
	if (memory_in_window(vq->memory, desc->address, desc->len)) {
		chain->left_out = true;
		return 0;
	}
	if (memory_iov(vq->memory, desc->address, desc->len,
		       &chain->iov[chain->n_out + chain->n_in]) < 0)
		return refuse(vq, "descriptor outside RAM");
	if (writable) {
		chain->n_in++;
		chain->in_len += desc->len;
	} else {
		chain->n_out++;
		chain->out_len += desc->len;
	}
	return 0;
}

static int walk_enter(struct virtqueue *vq, struct walk *walk, const struct descriptor *desc)
{
	struct iovec iov;

	if (!vq->indirect)
		return refuse(vq, "indirect table that was not negotiated");
	if (walk->indirect)
		return refuse(vq, "indirect table inside an indirect table");
	if (desc->flags & VRING_DESC_F_NEXT)
		return refuse(vq, "indirect descriptor with a next one");
	if (desc->len == 0 || desc->len % DESC_BYTES != 0)
		return refuse(vq, "indirect table of a length that is no multiple of 16");
	if (desc->len / DESC_BYTES > VIRTQUEUE_CHAIN_MAX)
		return refuse(vq, "indirect table too long");
	if (memory_iov(vq->memory, desc->address, desc->len, &iov) < 0)
		return refuse(vq, "indirect table outside RAM");
	walk->table = iov.iov_base;
	walk->entries = desc->len / DESC_BYTES;
	walk->budget = walk->entries;
	walk->indirect = true;
	return 0;
}

static int walk_chain(struct virtqueue *vq, struct virtq_chain *chain)
{
	struct walk walk = {
		.table = vq->desc_host,
		.entries = vq->size,
		.budget = vq->size,
	};
	unsigned int at = chain->head;
	int ret;

	for (;;) {
		struct descriptor desc;

		if (at >= walk.entries)
			return refuse(vq, "descriptor index beyond its table");
		if (walk.budget-- == 0)
			return refuse(vq, "loop of descriptors");
		desc = table_load(walk.table, at);
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			ret = walk_enter(vq, &walk, &desc);
			if (ret < 0)
				return ret;
			at = 0;
			continue;
		}
		ret = walk_add(vq, chain, &walk, &desc);
		if (ret < 0)
			return ret;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return 0;
		at = desc.next;
	}
}

static void make_empty(struct virtq_chain *chain)
{
	chain->n_out = 0;
	chain->n_in = 0;
	chain->out_len = 0;
	chain->in_len = 0;
	chain->left_out = false;
}

int virtqueue_pop(struct virtqueue *vq, struct virtq_chain *chain)
{
	int ret;

	if (vq->broken)
		return -EPROTO;
	if (!vq->enabled)
		return 0;
	if (vq->last_avail == vq->avail) {
		vq->avail = ring_load(vq->driver_host, AVAIL_IDX);
		if (vq->last_avail == vq->avail)
			return 0;
		/* Entries that wait and those in flight are all distinct, so at most size. */
		if ((uint16_t)(vq->avail - vq->used) > vq->size ||
		    (uint16_t)(vq->avail - vq->last_avail) > vq->size)
			return refuse(vq, "available index moved by more than the queue's size");
	}
	chain->head = ring_load(vq->driver_host, AVAIL_ENTRY(vq->last_avail & (vq->size - 1)));
	make_empty(chain);
	if (chain->head >= vq->size)
		return refuse(vq, "head beyond the descriptor table");
	ret = walk_chain(vq, chain);
	if (ret < 0)
		return ret;
	if (chain->left_out && !chain->may_leave_out) {
		make_empty(chain);
		chain->left_out = true;
	}
	vq->last_avail++;
	return 1;
}

void virtqueue_unpop(struct virtqueue *vq)
{
	vq->last_avail--;
}

void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	if (vq->broken || !vq->enabled)
		return;
	ring_store_used(vq->device_host, USED_ENTRY(vq->used & (vq->size - 1)), head, written);
	vq->used++;
	ring_store(vq->device_host, USED_IDX, vq->used);
}

static bool driver_wants(struct virtqueue *vq)
{
	uint16_t old = vq->signalled;
	bool first = !vq->signalled_valid;

	/* used->idx before the driver's wish: pairs with the driver's barrier between the two. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	vq->signalled = vq->used;
	vq->signalled_valid = true;
	if (!vq->event_idx)
		return !(ring_load(vq->driver_host, AVAIL_FLAGS) & VRING_AVAIL_F_NO_INTERRUPT);
	return first ||
	       vring_need_event(ring_load(vq->driver_host, AVAIL_EVENT(vq->size)), vq->used, old);
}

void virtqueue_notify(struct virtqueue *vq)
{
	struct irq_msi *msi;

	if (vq->broken || !vq->enabled)
		return;
	if (vq->signalled_valid ? vq->signalled == vq->used : vq->used == 0)
		return;
	if (!driver_wants(vq))
		return;
	msi = __atomic_load_n(&vq->msi, __ATOMIC_ACQUIRE);
	if (!msi)
		return;
	vq->interrupts++;
	irq_msi_fire(msi);
}

void virtqueue_disable_kicks(struct virtqueue *vq)
{
	/* With the event index, the event we left behind us says the same. */
	if (!vq->broken && vq->enabled && !vq->event_idx)
		ring_store(vq->device_host, USED_FLAGS, VRING_USED_F_NO_NOTIFY);
}

bool virtqueue_enable_kicks(struct virtqueue *vq)
{
	if (vq->broken || !vq->enabled)
		return false;
	if (vq->event_idx)
		ring_store(vq->device_host, USED_EVENT(vq->size), vq->last_avail);
	else
		ring_store(vq->device_host, USED_FLAGS, 0);
	/* Our wish before avail->idx: pairs with the driver's barrier between the two. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return ring_load(vq->driver_host, AVAIL_IDX) != vq->last_avail;
}

void virtqueue_kick(struct virtqueue *vq)
{
	uint64_t one = 1;

	(void)!write(vq->kick_fd, &one, sizeof(one));
}

int virtqueue_save(const struct virtqueue *vq, struct state *state)
{
	state_put_u16(state, vq->size);
	state_put_u64(state, vq->desc);
	state_put_u64(state, vq->driver);
	state_put_u64(state, vq->device);
	state_put_u8(state, vq->enabled);
	state_put_u8(state, vq->event_idx);
	state_put_u8(state, vq->indirect);
	state_put_u8(state, vq->broken);
	state_put_u16(state, vq->last_avail);
	state_put_u16(state, vq->used);
	state_put_u16(state, vq->signalled);
	state_put_u8(state, vq->signalled_valid);
	return state_error(state);
}

int virtqueue_load(struct virtqueue *vq, struct state *state)
{
	bool enabled, broken;
	int ret;

	virtqueue_reset(vq);
	vq->size = state_get_u16(state);
	vq->desc = state_get_u64(state);
	vq->driver = state_get_u64(state);
	vq->device = state_get_u64(state);
	enabled = state_get_u8(state) != 0;
	vq->event_idx = state_get_u8(state) != 0;
	vq->indirect = state_get_u8(state) != 0;
	broken = state_get_u8(state) != 0;
	if (enabled && virtqueue_enable(vq) < 0)
		return -EBADMSG;
	vq->last_avail = state_get_u16(state);
	vq->avail = vq->last_avail;
	vq->used = state_get_u16(state);
	vq->signalled = state_get_u16(state);
	vq->signalled_valid = state_get_u8(state) != 0;
	if (broken)
		virtqueue_break(vq, "broken when it was saved");
	ret = state_error(state);
	if (ret == 0 && enabled && (uint16_t)(vq->last_avail - vq->used) > vq->size)
		ret = -EBADMSG;
	if (ret < 0)
		virtqueue_reset(vq);
	return ret;
}
