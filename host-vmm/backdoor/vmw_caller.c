// SPDX-License-Identifier: GPL-2.0-or-later
// Who in the guest calls a VMware-compatible port: its address space, and whether the ports are
// its.
#include "host-vmm/backdoor/vmw_caller.h"

#include <sys/ioctl.h>

#include <lodge/backdoor.h>

#include "host-vmm/guest_linear.h"

/* Of CR3, what names a process. Below are flags, a PCID, and the bit that tells the user's tables
 * of page-table isolation from the kernel's (Linux PTI_USER_PGTABLE_BIT). */
#define SPACE_SHIFT 13u

/* Intel SDM volume 1 section 19.5, volume 3A section 8.7: 64-bit task state segment. */
#define RFLAGS_IOPL_SHIFT 12u
#define TSS_BITMAP_AT	  102u /* 16 bits: where the bitmap begins, from the segment's base */
#define CALL_PORTS	  4u /* that IN EAX, DX takes, each a bit that must be 0 */

const struct kvm_sregs *vmw_caller_sregs(struct vmw_caller *caller)
{
	struct kvm_run *run = caller->run;

	if (run->kvm_valid_regs & KVM_SYNC_X86_SREGS)
		return &run->s.regs.sregs;
	return ioctl(caller->vcpu_fd, KVM_GET_SREGS, &run->s.regs.sregs) < 0 ? NULL
									     : &run->s.regs.sregs;
}

uint64_t vmw_caller_space(struct vmw_caller *caller)
{
	const struct kvm_sregs *sregs = vmw_caller_sregs(caller);

	return sregs ? sregs->cr3 >> SPACE_SHIFT : 0;
}

/* 16 bits of the segment; false where they lie beyond its limit or are not mapped. */
static bool read_task_state(const struct memory *memory, const struct kvm_sregs *sregs,
			    uint32_t offset, uint32_t *ret_value)
{
	uint8_t bytes[2];

	if (offset + 1 > sregs->tr.limit ||
	    guest_linear_read(memory, sregs, sregs->tr.base + offset, bytes, sizeof(bytes)) !=
		    sizeof(bytes))
		return false;
	*ret_value = bytes[0] | (uint32_t)bytes[1] << 8;
	return true;
}

/* As the processor would look. */
static bool has_bits(const struct memory *memory, const struct kvm_sregs *sregs)
{
	const uint32_t mask = (1u << CALL_PORTS) - 1;
	struct kvm_sregs kernel = *sregs;
	uint32_t bitmap, bits;

	/* The segment is for the kernel's eyes. */
	kernel.ss.dpl = 0;
	return read_task_state(memory, &kernel, TSS_BITMAP_AT, &bitmap) &&
	       read_task_state(memory, &kernel, bitmap + LODGE_VMW_PORT / 8, &bits) &&
	       (bits >> LODGE_VMW_PORT % 8 & mask) == 0;
}

bool vmw_caller_is_owner(struct vmw_caller *caller, const struct memory *memory)
{
	const struct kvm_sregs *sregs = vmw_caller_sregs(caller);
	uint64_t iopl = caller->run->s.regs.regs.rflags >> RFLAGS_IOPL_SHIFT & 3;

	if (!sregs)
		return false;
	return sregs->ss.dpl <= iopl || has_bits(memory, sregs);
}
