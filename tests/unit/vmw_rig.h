/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VMware-compatible ports without KVM: exits as KVM makes them, on a machine of memory alone,
 * with an RPC service behind it that only keeps what it is told. For vmw_ports.c and the fuzzer.
 */
#ifndef LODGE_TESTS_UNIT_VMW_RIG_H
#define LODGE_TESTS_UNIT_VMW_RIG_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-vmm/backdoor/session.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/machine.h"

#define VMW_RIG_MEMORY (1u << 20)
/* Guest-linear pages, at VMW_RIG_LINEAR: the user's, a hole of one, the kernel's. */
#define VMW_RIG_TABLES	 0x10000ull /* of pages, 4 of them */
#define VMW_RIG_LINEAR	 0x400000ull
#define VMW_RIG_GPA	 0x80000ull
#define VMW_RIG_PAGES	 32u
#define VMW_RIG_HOLE	 30u
#define VMW_RIG_KERNEL	 31u
#define VMW_RIG_TSS	 20u /* and two pages more */
#define VMW_RIG_SESSIONS 64u

struct vmw_rig {
	struct vm_config config;
	struct machine machine;
	struct device *device;
	struct {
		struct kvm_run run;
		uint8_t data[1024];
	} exit;
	unsigned int exits;
	uint64_t later_ms; /* added to every clock */
	/* What the service was told last, over all sessions. */
	char request[128 << 10], result[256];
	size_t request_len, result_len;
	uint32_t result_tag;
	unsigned int requests, results, sessions, polls;
	enum rpc_privilege privilege; /* of the session that was opened last */
	struct rpc_session *open[VMW_RIG_SESSIONS];
	struct rpc_session *last; /* opened */
	bool time_sync;
};

/* One at a time: the service's functions have no other way to it. */
void vmw_rig_create(struct vmw_rig *rig);
void vmw_rig_destroy(struct vmw_rig *rig);

/* One IN EAX, DX: EAX comes back in regs->rax. */
void vmw_rig_call(struct vmw_rig *rig, struct kvm_regs *regs);
/* Any access, which is not a message's: the data that comes back. */
uint32_t vmw_rig_access(struct vmw_rig *rig, struct kvm_regs *regs, uint16_t port, bool in,
			unsigned int size);
/* REP OUTSB and REP INSB as KVM emulates them. False where the guest took a page fault. */
bool vmw_rig_outs(struct vmw_rig *rig, struct kvm_regs *regs);
bool vmw_rig_ins(struct vmw_rig *rig, struct kvm_regs *regs);
/* Which process of the guest makes the next calls; only 0 has page tables for strings. */
void vmw_rig_set_process(struct vmw_rig *rig, unsigned int process);
/* Whether the next calls are of user mode. */
void vmw_rig_set_user(struct vmw_rig *rig, bool user);

/* A task state segment whose bitmap of ports lies at @bitmap (104 where there is one), that opens
 * ports @first to @last. For the calls of process 0. */
struct vmw_rig_ports {
	uint16_t bitmap, first, last;
	uint32_t limit;
};

void vmw_rig_give_ports(struct vmw_rig *rig, const struct vmw_rig_ports *ports);
/* The session number @index of those that take commands, or NULL. */
struct rpc_session *vmw_rig_commanded(struct vmw_rig *rig, unsigned int index);
/* The host's word to a session that was opened with ops. */
int vmw_rig_command(struct rpc_session *session, uint32_t tag, const void *bytes, size_t len);
int vmw_rig_shut(struct rpc_session *session);

#endif
