// SPDX-License-Identifier: GPL-2.0-or-later
// Exits, page tables and an RPC service for tests of the VMware-compatible ports.
#include "tests/unit/vmw_rig.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lodge/backdoor.h>

#include "host-vmm/backdoor/vmw_ports.h"
#include "host-vmm/device.h"
#include "host-vmm/guest_linear.h"
#include "host-vmm/kvm.h"
#include "host-vmm/memory.h"

#define CR0_PG	  (1ull << 31)
#define CR4_PAE	  (1ull << 5)
#define EFER_LMA  (1ull << 10)
#define PAGE	  4096ull
#define PRESENT	  1ull
#define USER	  4ull
#define CHUNK_MAX 1024u /* KVM's, of REP INS */

static struct vmw_rig *the_rig;

struct rpc_session {
	const struct rpc_session_ops *ops;
	void *opaque;
};

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	int ret = __real_clock_gettime(clock, now);

	if (the_rig)
		now->tv_sec += (time_t)(the_rig->later_ms / 1000);
	return ret;
}

int kvm_capability(int fd, int capability)
{
	(void)fd;
	return capability == KVM_CAP_SYNC_REGS ? KVM_SYNC_X86_REGS : 0;
}

int rpc_session_open(struct backdoor *backdoor, enum rpc_door door, enum rpc_privilege privilege,
		     const struct rpc_session_ops *ops, void *opaque,
		     struct rpc_session **ret_session)
{
	struct rpc_session *session = calloc(1, sizeof(*session));

	(void)backdoor;
	if (door != RPC_DOOR_IOPORTS || the_rig->sessions == VMW_RIG_SESSIONS)
		abort();
	the_rig->privilege = privilege;
	session->ops = ops;
	session->opaque = opaque;
	for (unsigned int i = 0; i < VMW_RIG_SESSIONS; i++) {
		if (!the_rig->open[i]) {
			the_rig->open[i] = session;
			break;
		}
	}
	the_rig->sessions++;
	the_rig->last = session;
	*ret_session = session;
	return 0;
}

void rpc_session_close(struct rpc_session *session)
{
	for (unsigned int i = 0; i < VMW_RIG_SESSIONS; i++)
		if (the_rig->open[i] == session)
			the_rig->open[i] = NULL;
	the_rig->sessions--;
	free(session);
}

void rpc_session_set_space(struct rpc_session *session, uint64_t space)
{
	(void)session;
	(void)space;
}

void rpc_session_polled(struct rpc_session *session)
{
	(void)session;
	the_rig->polls++;
}

/* "1 " and the message itself. */
void rpc_session_request(struct rpc_session *session, const void *message, size_t len,
			 struct rpc_reply *reply)
{
	(void)session;
	the_rig->requests++;
	the_rig->request_len = len;
	memcpy(the_rig->request, message, len);
	reply->owned = malloc(len + 2);
	memcpy(reply->owned, "1 ", 2);
	memcpy(reply->owned + 2, message, len);
	reply->bytes = reply->owned;
	reply->len = len + 2;
}

void rpc_session_result(struct rpc_session *session, uint32_t tag, const void *message, size_t len)
{
	(void)session;
	the_rig->results++;
	the_rig->result_tag = tag;
	the_rig->result_len = len < sizeof(the_rig->result) ? len : sizeof(the_rig->result);
	memcpy(the_rig->result, message, the_rig->result_len);
}

bool rpc_time_sync(struct backdoor *backdoor)
{
	(void)backdoor;
	return the_rig->time_sync;
}

void rpc_reply_free(struct rpc_reply *reply)
{
	free(reply->owned);
	*reply = (struct rpc_reply){ 0 };
}

struct rpc_session *vmw_rig_commanded(struct vmw_rig *rig, unsigned int index)
{
	for (unsigned int i = 0; i < VMW_RIG_SESSIONS; i++)
		if (rig->open[i] && rig->open[i]->ops->send && index-- == 0)
			return rig->open[i];
	return NULL;
}

int vmw_rig_command(struct rpc_session *session, uint32_t tag, const void *bytes, size_t len)
{
	const struct frame frame = {
		.type = LODGE_RPC_COMMAND,
		.tag = tag,
		.size = (uint32_t)len,
	};

	return session->ops->send(session->opaque, &frame, bytes);
}

int vmw_rig_shut(struct rpc_session *session)
{
	const struct frame frame = { .type = LODGE_RPC_CLOSE };

	return session->ops->send(session->opaque, &frame, NULL);
}

static void put_entry(struct vmw_rig *rig, uint64_t table, unsigned int index, uint64_t entry)
{
	if (memory_write(rig->machine.memory, table + index * sizeof(entry), &entry,
			 sizeof(entry)) < 0)
		abort();
}

static void make_tables(struct vmw_rig *rig)
{
	for (unsigned int level = 0; level < 3; level++)
		put_entry(rig, VMW_RIG_TABLES + level * PAGE, level == 2 ? VMW_RIG_LINEAR >> 21 : 0,
			  (VMW_RIG_TABLES + (level + 1) * PAGE) | PRESENT | USER);
	for (unsigned int i = 0; i < VMW_RIG_PAGES; i++)
		put_entry(rig, VMW_RIG_TABLES + 3 * PAGE, i,
			  i == VMW_RIG_HOLE ? 0
					    : (VMW_RIG_GPA + i * PAGE) | PRESENT |
						      (i == VMW_RIG_KERNEL ? 0 : USER));
}

void vmw_rig_create(struct vmw_rig *rig)
{
	struct kvm_sregs *sregs = &rig->exit.run.s.regs.sregs;

	memset(rig, 0, sizeof(*rig));
	the_rig = rig;
	rig->config.memory = VMW_RIG_MEMORY;
	rig->machine.config = &rig->config;
	rig->machine.kvm_fd = -1;
	rig->device = calloc(1, vmw_ports_type.size);
	if (!rig->device || memory_create(VMW_RIG_MEMORY, MEMORY_PRIVATE, &rig->machine.memory) < 0)
		abort();
	rig->device->type = &vmw_ports_type;
	rig->device->machine = &rig->machine;
	if (vmw_ports_type.create(rig->device) < 0)
		abort();
	make_tables(rig);
	sregs->cr0 = CR0_PG;
	sregs->cr3 = VMW_RIG_TABLES | 7; /* a PCID does not matter */
	sregs->cr4 = CR4_PAE;
	sregs->efer = EFER_LMA;
	sregs->cs.l = 1;
	rig->exit.run.kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	rig->exit.run.exit_reason = KVM_EXIT_IO;
	rig->exit.run.io.data_offset = sizeof(rig->exit.run);
}

void vmw_rig_destroy(struct vmw_rig *rig)
{
	vmw_ports_type.destroy(rig->device);
	free(rig->device);
	memory_destroy(rig->machine.memory);
	if (rig->sessions != 0)
		abort();
	the_rig = NULL;
}

void vmw_rig_set_process(struct vmw_rig *rig, unsigned int process)
{
	/* Sometimes with the tables of user mode, sometimes with the kernel's. */
	rig->exit.run.s.regs.sregs.cr3 = (VMW_RIG_TABLES + process * 2ull * PAGE) |
					 (rig->exits % 2 ? PAGE | 5 : 7);
	if (process == 0)
		rig->exit.run.s.regs.sregs.cr3 = VMW_RIG_TABLES | 7;
}

void vmw_rig_set_user(struct vmw_rig *rig, bool user)
{
	rig->exit.run.s.regs.sregs.ss.dpl = user ? 3 : 0;
}

void vmw_rig_give_ports(struct vmw_rig *rig, const struct vmw_rig_ports *ports)
{
	struct kvm_sregs *sregs = &rig->exit.run.s.regs.sregs;
	const uint64_t gpa = VMW_RIG_GPA + VMW_RIG_TSS * PAGE;
	uint8_t segment[3 * PAGE];

	memset(segment, 0xff, sizeof(segment));
	memcpy(segment + 102, &ports->bitmap, sizeof(ports->bitmap));
	for (unsigned int port = ports->first; port <= ports->last; port++)
		segment[104 + port / 8] &= (uint8_t) ~(1u << port % 8);
	if (memory_write(rig->machine.memory, gpa, segment, sizeof(segment)) < 0)
		abort();
	sregs->tr.base = VMW_RIG_LINEAR + VMW_RIG_TSS * PAGE;
	sregs->tr.limit = ports->limit;
}

static void leave(struct vmw_rig *rig, struct kvm_regs *regs, uint16_t port, bool in,
		  unsigned int size, unsigned int count)
{
	struct kvm_run *run = &rig->exit.run;

	rig->exits++;
	run->io.port = port;
	run->io.direction = in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = (uint8_t)size;
	run->io.count = count;
	run->s.regs.regs = *regs;
	run->kvm_dirty_regs = 0;
	if (!vmw_ports_serve(rig->machine.vmw_ports, -1, run))
		abort();
	if (run->kvm_dirty_regs & KVM_SYNC_X86_REGS)
		*regs = run->s.regs.regs;
}

uint32_t vmw_rig_access(struct vmw_rig *rig, struct kvm_regs *regs, uint16_t port, bool in,
			unsigned int size)
{
	uint32_t value = 0;

	leave(rig, regs, port, in, size, 1);
	memcpy(&value, rig->exit.data, size);
	return value;
}

void vmw_rig_call(struct vmw_rig *rig, struct kvm_regs *regs)
{
	regs->rax = vmw_rig_access(rig, regs, LODGE_VMW_PORT, true, 4);
}

static size_t read_guest(struct vmw_rig *rig, uint64_t address, uint8_t *byte)
{
	return guest_linear_read(rig->machine.memory, &rig->exit.run.s.regs.sregs, address, byte,
				 1);
}

bool vmw_rig_outs(struct vmw_rig *rig, struct kvm_regs *regs)
{
	while (regs->rcx > 0) {
		if (read_guest(rig, regs->rsi, &rig->exit.data[0]) != 1)
			return false;
		regs->rcx--;
		regs->rsi++;
		leave(rig, regs, LODGE_VMW_PORT_HB, false, 1, 1);
	}
	return true;
}

bool vmw_rig_ins(struct vmw_rig *rig, struct kvm_regs *regs)
{
	while (regs->rcx > 0) {
		uint64_t count = PAGE - regs->rdi % PAGE;
		uint8_t byte;

		count = count < regs->rcx ? count : regs->rcx;
		count = count < CHUNK_MAX ? count : CHUNK_MAX;
		leave(rig, regs, LODGE_VMW_PORT_HB, true, 1, (unsigned int)count);
		if (read_guest(rig, regs->rdi, &byte) != 1)
			return false;
		/* Where the tables were changed, this may be nowhere. */
		(void)memory_write(rig->machine.memory, regs->rdi - VMW_RIG_LINEAR + VMW_RIG_GPA,
				   rig->exit.data, count);
		regs->rcx -= count;
		regs->rdi += count;
	}
	return true;
}
