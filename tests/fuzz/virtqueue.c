// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes the parser of split virtqueues: the input is guest memory, then what driver and device do.
 *
 *	byte 0     bits 0-3: log2 of the size, 4: event index, 5: indirect, 6: a saved queue is
 *loaded byte 1..3  where the three areas are, in 256ths of the memory byte 4     room of a chain,
 *minus 1 then       half of what is left: memory; the rest: operations, each a byte
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/queue.h"

#define MEMORY 65536u
#define IOV    256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_chain(const struct memory *memory, const struct virtq_chain *chain)
{
	const struct memory_region *regions;
	uint64_t total = 0;
	size_t count;

	regions = memory_regions(memory, &count);
	if (chain->n_out + chain->n_in > chain->iov_max)
		abort();
	for (unsigned int i = 0; i < chain->n_out + chain->n_in; i++) {
		const struct iovec *iov = &chain->iov[i];
		uint64_t offset = (uint64_t)((char *)iov->iov_base - (char *)regions[0].host);

		if (iov->iov_len == 0 || offset >= MEMORY || iov->iov_len > MEMORY - offset)
			abort();
		total += iov->iov_len;
	}
	if (total != chain->out_len + chain->in_len)
		abort();
}

static void operate(struct virtqueue *vq, struct virtq_chain *chain, uint8_t op,
		    const struct memory *memory, const uint8_t *operand)
{
	uint8_t bytes[64];

	switch (op & 7) {
	case 0:
	case 1:
		if (virtqueue_pop(vq, chain) > 0) {
			check_chain(memory, chain);
			(void)memory_iov_read(virtq_out(chain), chain->n_out, 0, bytes,
					      sizeof(bytes));
			(void)memory_iov_write(virtq_in(chain), chain->n_in, 0, bytes,
					       sizeof(bytes));
		} else if (vq->broken && !vq->broken_why) {
			abort();
		}
		break;
	case 2:
		virtqueue_push(vq, chain->head, op);
		break;
	case 3:
		virtqueue_notify(vq);
		break;
	case 4:
		virtqueue_disable_kicks(vq);
		break;
	case 5:
		(void)virtqueue_enable_kicks(vq);
		break;
	case 6: /* the driver changes a word under us */
		(void)memory_write(memory, (uint64_t)operand[0] << 8 | operand[1], operand + 2, 2);
		break;
	case 7: /* the driver moves its index */
		if (vq->enabled)
			(void)memory_write(memory, vq->driver + 2, operand, 2);
		break;
	}
}

static void set_up(struct virtqueue *vq, const uint8_t *data)
{
	vq->size = (uint16_t)(1u << (data[0] & 15));
	vq->event_idx = data[0] & 16;
	vq->indirect = data[0] & 32;
	vq->desc = (uint64_t)data[1] << 8;
	vq->driver = (uint64_t)data[2] << 8;
	vq->device = (uint64_t)data[3] << 8;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct memory *memory;
	static const uint8_t zeroes[MEMORY];
	struct iovec iov[IOV];
	struct virtqueue vq = { .max_size = VIRTQUEUE_SIZE_MAX, .kick_fd = -1 };
	struct virtq_chain chain = { .iov = iov };
	size_t image;

	if (size < 16)
		return 0;
	if (!memory && memory_create(MEMORY, MEMORY_SHARED, &memory) < 0)
		abort();
	image = (size - 5) / 2 < MEMORY ? (size - 5) / 2 : MEMORY;
	(void)memory_write(memory, 0, zeroes, MEMORY);
	(void)memory_write(memory, 0, data + 5, image);
	vq.memory = memory;
	chain.iov_max = (unsigned int)data[4] + 1;
	if (data[0] & 64) {
		struct state state;

		state_read_from(&state, data + 5, size - 5);
		(void)virtqueue_load(&vq, &state);
	} else {
		set_up(&vq, data);
		(void)virtqueue_enable(&vq);
	}
	for (size_t i = 5 + image; i + 4 < size; i++)
		operate(&vq, &chain, data[i], memory, data + i + 1);
	return 0;
}
