/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that speaks GuestMsg four bytes at a time, for tests: what is not as it should be fails
 * the test.
 */
#ifndef LODGE_TESTS_UNIT_VMW_GUEST_H
#define LODGE_TESTS_UNIT_VMW_GUEST_H

#include <stddef.h>
#include <stdint.h>

#include "host-vmm/backdoor/guestmsg.h"
#include "tests/unit/vmw_rig.h"

struct guest_channel {
	struct vmw_rig *rig;
	uint32_t id, high, low;
};

/* The status. @value is EBX, in and out; *ret_type (may be NULL) is EDX's high half. */
uint32_t guest_step(const struct guest_channel *channel, enum guestmsg_type what, uint32_t *value,
		    uint32_t *ret_type);
uint32_t guest_do(const struct guest_channel *channel, enum guestmsg_type what, uint32_t value);

uint32_t guest_try_open(struct vmw_rig *rig, uint32_t protocol, struct guest_channel *ret_channel);
struct guest_channel guest_open(struct vmw_rig *rig, uint32_t protocol);

/* The status, without the bit that allows strings. */
uint32_t guest_send_size(const struct guest_channel *channel, size_t len);
void guest_send_pieces(const struct guest_channel *channel, const void *bytes, size_t len);
void guest_send(const struct guest_channel *channel, const void *bytes, size_t len);

/* The length of what waits, or -1; the second takes it. */
int guest_receive_size(const struct guest_channel *channel);
int guest_receive(const struct guest_channel *channel, char *bytes);

#endif
