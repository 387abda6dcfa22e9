/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who in the guest calls a VMware-compatible port: what its processor's registers tell of it. */
#ifndef LODGE_VMM_BACKDOOR_VMW_CALLER_H
#define LODGE_VMM_BACKDOOR_VMW_CALLER_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

struct memory;

/* The vCPU that calls, on its own thread. */
struct vmw_caller {
	int vcpu_fd;
	struct kvm_run *run; /* s.regs.regs are there */
};

/* Its special registers, asked for where the exit has not brought them; NULL where KVM refuses. */
const struct kvm_sregs *vmw_caller_sregs(struct vmw_caller *caller);

/* A number for its address space, another one for each process; 0 where it cannot be known. */
uint64_t vmw_caller_space(struct vmw_caller *caller);

/*
 * Whether the ports are its by the word of the guest's kernel: it is the kernel, or a process for
 * which the kernel has opened the four ports of a call (IOPL, or the I/O permission bitmap of the
 * task state segment), as it does for root's alone. Of other processes only a host's
 * kvm.enable_vmware_backdoor lets any call come through. False where it cannot be known.
 */
bool vmw_caller_is_owner(struct vmw_caller *caller, const struct memory *memory);

#endif
