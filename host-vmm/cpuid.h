/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What CPUID tells the guest: what KVM supports, less what is hidden, with the guest's topology and
 * the hypervisor's leaves.
 */
#ifndef LODGE_VMM_CPUID_H
#define LODGE_VMM_CPUID_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

struct cpuid_options {
	unsigned int cpus; /* 1 to 64, cores of one socket */
	bool kvm_only; /* hypervisor=kvm: KVM's leaves at 0x40000000 */
	bool vmware_only; /* hypervisor=vmware: VMware's there, and none of KVM's */
	bool tsc_deadline; /* KVM_CAP_TSC_DEADLINE_TIMER */
};

/* What the host's KVM supports; free() it. -E2BIG and the like from KVM. */
int cpuid_supported(int kvm_fd, struct kvm_cpuid2 **ret_cpuid);

/* The table of vCPU @index, made from @supported; free() it. Pure, for tests. */
int cpuid_for_vcpu(const struct kvm_cpuid2 *supported, const struct cpuid_options *options,
		   unsigned int index, struct kvm_cpuid2 **ret_cpuid);

/* Fills in the TSC's frequency, which is known only once a vCPU was made. 0: unknown. */
void cpuid_set_tsc(struct kvm_cpuid2 *cpuid, uint32_t khz);

/* Physical address bits that a guest may use. */
unsigned int cpuid_address_bits(const struct kvm_cpuid2 *supported);

#endif
