/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One virtual processor: its KVM descriptor and the thread that runs it.
 *
 * A vCPU has an order (park, run, exit), which the main thread gives and its thread obeys. A new
 * one is parked. The main thread touches registers only while it is parked.
 */
#ifndef LODGE_VMM_VCPU_H
#define LODGE_VMM_VCPU_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine;
struct vcpu;

/* Where and how the first processor begins. */
struct boot_entry {
	bool long_mode; /* 64-bit with paging at LAYOUT_BOOT_PAGES; else 32-bit protected, flat */
	uint64_t rip;
	uint64_t info; /* guest-physical: boot_params in RSI, or hvm_start_info in EBX */
};

/* Makes the vCPU, gives it its CPUID (the TSC's frequency is filled in), starts its thread, parked.
 * Main thread. */
int vcpu_create(struct machine *machine, unsigned int index, struct kvm_cpuid2 *cpuid,
		struct vcpu **ret_vcpu);
/* Ends and joins the thread. NULL is fine. */
void vcpu_destroy(struct vcpu *vcpu);

/* Power-on state; the first processor begins at @entry, the others wait to be started. Parked. */
int vcpu_reset(struct vcpu *vcpu, const struct boot_entry *entry);

/* Give an order; vcpu_wait_parked() returns once the thread is out of KVM and holds still. */
void vcpu_order_park(struct vcpu *vcpu);
void vcpu_wait_parked(struct vcpu *vcpu);
void vcpu_order_run(struct vcpu *vcpu);

/* The guest's time-stamp counter minus the host's. Parked. -ENXIO: this host's KVM does not tell.
 */
int vcpu_tsc_offset(const struct vcpu *vcpu, uint64_t *ret_offset);
/* kHz of its time-stamp counter; 0: not known. Parked. */
uint32_t vcpu_tsc_khz(const struct vcpu *vcpu);
/* Tells the guest, by KVM's clock, that it did not run for a while: its watchdogs ask for that.
 * Parked. */
void vcpu_tell_pause(const struct vcpu *vcpu);

/* Page faults so far that KVM took and did not resolve (vcpu_faults.h). One thread. */
uint64_t vcpu_unresolved_faults(const struct vcpu *vcpu);

#endif
