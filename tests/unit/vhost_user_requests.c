// SPDX-License-Identifier: GPL-2.0-or-later
/* FUSE requests on a ring of the rig. */
#include "tests/unit/vhost_user_requests.h"

#include <check.h>

#include "host-vmm/memory.h"

#define REQUESTS 0x200000ull
#define ANSWERS	 0x300000ull
#define ROOM	 256u

uint64_t request_at(unsigned int i)
{
	return REQUESTS + (uint64_t)ROOM * i;
}

uint64_t answer_at(unsigned int i)
{
	return ANSWERS + (uint64_t)ROOM * i;
}

uint16_t ask(struct rig_ring *ring, unsigned int i, uint32_t opcode, const void *body, size_t len)
{
	struct memory *memory = ring->rig->machine.memory;
	struct fuse_in_header in = { .len = (uint32_t)(sizeof(in) + len),
				     .opcode = opcode,
				     .unique = 1000 + i,
				     .nodeid = FUSE_ROOT_ID };
	struct rig_buffer buffers[] = { { request_at(i), sizeof(in), false },
					{ request_at(i) + sizeof(in), (uint32_t)len, false },
					{ answer_at(i), ROOM, true } };

	ck_assert_int_eq(memory_write(memory, request_at(i), &in, sizeof(in)), 0);
	ck_assert_int_eq(memory_write(memory, request_at(i) + sizeof(in), body, len), 0);
	if (!len) {
		buffers[1] = buffers[2];
		return rig_add(ring, buffers, 2);
	}
	return rig_add(ring, buffers, 3);
}

struct fuse_out_header answer(struct rig *rig, unsigned int i)
{
	struct fuse_out_header out;

	ck_assert_int_eq(memory_read(rig->machine.memory, answer_at(i), &out, sizeof(out)), 0);
	return out;
}

void assert_answer(struct rig *rig, unsigned int i, int error)
{
	struct fuse_out_header out = answer(rig, i);

	ck_assert_int_eq(out.error, error);
	ck_assert_uint_eq(out.unique, 1000 + i);
	if (error)
		ck_assert_uint_eq(out.len, sizeof(out));
}

void assert_taken(struct rig_ring *ring, uint16_t head)
{
	uint32_t id;

	ck_assert(rig_take(ring, &id, NULL));
	ck_assert_uint_eq(id, head);
}
