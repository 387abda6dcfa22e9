/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU's registers: power-on state and entry state, and the report when KVM gives up.
 *
 * All functions work on a vCPU that is not in KVM_RUN, from the thread that may run it or, while it
 * is parked, from the main thread.
 */
#ifndef LODGE_VMM_VCPU_STATE_H
#define LODGE_VMM_VCPU_STATE_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>

#include "host-vmm/vcpu.h"

struct memory;
struct vcpu_power_on;

/* What a new vCPU's state is, to be put back at resets. */
int vcpu_power_on_take(int kvm_fd, int vcpu_fd, struct vcpu_power_on **ret_state);
int vcpu_power_on_restore(int vcpu_fd, const struct vcpu_power_on *state);
void vcpu_power_on_free(struct vcpu_power_on *state);

/* What firmware would have left behind, on every processor: memory types. */
int vcpu_set_boot_msrs(int vcpu_fd);
/* The first processor's registers at the kernel's entry. */
int vcpu_set_entry(int vcpu_fd, const struct boot_entry *entry);

/* Registers, code bytes, exit reason: lines at level error. */
void vcpu_log_crash(int vcpu_fd, unsigned int index, const struct kvm_run *run,
		    const struct memory *memory, const char *what);

#endif
