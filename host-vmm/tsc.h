/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU's time-stamp counter, and the guest that writes it.
 *
 * KVM carries such a write out by itself and tells nobody, by which whoever knows the counter (the
 * clock page) is wrong from then on. tsc_watch() has it leave the guest instead, and tsc_write()
 * does what KVM would have done. No guest that is well does it often: it costs an exit.
 *
 * Locking: none. A vCPU's descriptor is its thread's, or anybody's while it is parked: KVM keeps
 * others waiting for as long as it runs.
 */
#ifndef LODGE_VMM_TSC_H
#define LODGE_VMM_TSC_H

#include <linux/kvm.h>
#include <stdint.h>

/* Before vCPUs run. -EINVAL and others: KVM before Linux 5.10 cannot. */
int tsc_watch(int vm_fd);
/* The guest's counter minus the host's. -ENXIO: this host's KVM does not tell. */
int tsc_offset(int vcpu_fd, uint64_t *ret_offset);
/*
 * Serves KVM_EXIT_X86_WRMSR, whose answer goes into @run. What it does: Intel SDM volume 3,
 * section "Time-Stamp Counter Adjustment". -ENOENT: another register, which is refused.
 */
int tsc_write(int vcpu_fd, struct kvm_run *run);

#endif
