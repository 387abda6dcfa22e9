/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads at a guest's linear addresses, as one of its processors would: through its page tables,
 * with its privilege.
 *
 * For 64-bit guests (4 and 5 levels) alone. The tables are guest memory, which changes while they
 * are read: every entry is copied once, and what it points to is checked by memory.h. Sources:
 * Intel SDM volume 3A section 4.5, AMD APM volume 2 section 5.3.
 */
#ifndef LODGE_VMM_GUEST_LINEAR_H
#define LODGE_VMM_GUEST_LINEAR_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

struct memory;

/*
 * Copies at most @len bytes from linear address @address of the processor with @sregs: how many
 * bytes came before the first that is not mapped, not RAM, or not for its privilege level (user
 * mode: pages marked so at every level). 0 where it is not in 64-bit paging. Any thread.
 */
size_t guest_linear_read(const struct memory *memory, const struct kvm_sregs *sregs,
			 uint64_t address, void *buffer, size_t len);

#endif
