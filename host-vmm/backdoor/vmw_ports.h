/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VMware-compatible I/O ports 0x5658 and 0x5659: the door for open-vm-tools and the kernel's
 * VMware drivers (protocol/spec/backdoor.md).
 *
 * They are no region of the bus, since a call is made of the caller's registers: vCPU threads hand
 * over the whole exit. Whoever calls is taken for an unprivileged process of the guest.
 */
#ifndef LODGE_VMM_BACKDOOR_VMW_PORTS_H
#define LODGE_VMM_BACKDOOR_VMW_PORTS_H

#include <linux/kvm.h>
#include <stdbool.h>

struct device_type;
struct vmw_ports;

/* machine->vmw_ports points to it, and is NULL where vm.conf says backdoor.ports=off. */
extern const struct device_type vmw_ports_type;

/*
 * Serves the KVM_EXIT_IO in @run of the vCPU @vcpu_fd: false where it is for another port. The
 * registers come and go with @run where KVM can (KVM_CAP_SYNC_REGS), from the first call on.
 * @ports may be NULL. vCPU threads, any number of them at once.
 */
bool vmw_ports_serve(struct vmw_ports *ports, int vcpu_fd, struct kvm_run *run);

#endif
