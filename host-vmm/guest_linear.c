// SPDX-License-Identifier: GPL-2.0-or-later
// A walk of a guest's page tables, page by page.
#include "host-vmm/guest_linear.h"

#include <errno.h>
#include <stdbool.h>

#include "host-vmm/memory.h"

#define CR0_PG	    (1ull << 31)
#define CR4_LA57    (1ull << 12)
#define EFER_LMA    (1ull << 10)
#define PTE_PRESENT (1ull << 0)
#define PTE_USER    (1ull << 2)
#define PTE_LARGE   (1ull << 7)
#define PTE_ADDRESS 0x000ffffffffff000ull
#define LEVEL_BITS  9u
#define PAGE_BITS   12u
#define USER_CPL    3u

/* *ret_left: bytes from @address to the end of its page. */
static int translate(const struct memory *memory, const struct kvm_sregs *sregs, uint64_t address,
		     uint64_t *ret_gpa, uint64_t *ret_left)
{
	unsigned int levels = sregs->cr4 & CR4_LA57 ? 5 : 4;
	unsigned int unused = 64 - (PAGE_BITS + levels * LEVEL_BITS);
	uint64_t entry = sregs->cr3;

	if ((int64_t)(address << unused) >> unused != (int64_t)address)
		return -EFAULT; /* not canonical */
	while (levels-- > 0) {
		unsigned int shift = PAGE_BITS + levels * LEVEL_BITS;
		uint64_t index = address >> shift & ((1u << LEVEL_BITS) - 1);
		uint64_t page = (1ull << shift) - 1;

		if (memory_read(memory, (entry & PTE_ADDRESS) + index * sizeof(entry), &entry,
				sizeof(entry)) < 0)
			return -EFAULT;
		if (!(entry & PTE_PRESENT) || (sregs->ss.dpl == USER_CPL && !(entry & PTE_USER)))
			return -EFAULT;
		if (levels > 0 && !(entry & PTE_LARGE))
			continue;
		if (levels > 2)
			return -EFAULT; /* no such size */
		*ret_gpa = (entry & PTE_ADDRESS & ~page) | (address & page);
		*ret_left = page + 1 - (address & page);
		return 0;
	}
	return -EFAULT;
}

size_t guest_linear_read(const struct memory *memory, const struct kvm_sregs *sregs,
			 uint64_t address, void *buffer, size_t len)
{
	uint8_t *to = buffer;
	size_t done = 0;

	if (!(sregs->cr0 & CR0_PG) || !(sregs->efer & EFER_LMA))
		return 0;
	while (done < len) {
		uint64_t gpa, left;
		size_t part = len - done;

		if (translate(memory, sregs, address + done, &gpa, &left) < 0)
			break;
		if (part > left)
			part = left;
		if (memory_read(memory, gpa, to + done, part) < 0)
			break;
		done += part;
	}
	return done;
}
