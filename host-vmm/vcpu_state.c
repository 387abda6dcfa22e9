// SPDX-License-Identifier: GPL-2.0-or-later
// A vCPU's registers: power-on state, entry state for direct boot, and the crash report.
#include "host-vmm/vcpu_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "host-vmm/layout.h"
#include "host-vmm/memory.h"
#include "protocol/lib/log.h"

#define MSR_TSC		      0x10u
#define MSR_MTRR_DEFAULT_TYPE 0x2ffu
#define MTRR_ENABLE	      (1u << 11)
#define MTRR_WRITE_BACK	      6u
#define MSR_LIST_MAX	      1024u /* more than KVM lists */

#define CR0_PE	  (1ull << 0)
#define CR0_ET	  (1ull << 4)
#define CR0_NE	  (1ull << 5)
#define CR0_PG	  (1ull << 31)
#define CR4_PAE	  (1ull << 5)
#define EFER_LME  (1ull << 8)
#define EFER_LMA  (1ull << 10)
#define FLAGS_ONE (1ull << 1) /* always set */

struct vcpu_power_on {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_lapic_state lapic;
	struct kvm_mp_state mp_state;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debugregs;
	bool has_xcrs;
	struct kvm_xcrs xcrs;
	uint32_t n_msrs;
	struct kvm_msr_entry *msrs;
};

/* Fills @msrs with the MSRs of @list, and reads them. KVM stops at one that this vCPU has not; that
 * one is left out, and reading goes on behind it. */
static int read_msrs(int vcpu_fd, const struct kvm_msr_list *list, struct kvm_msrs *msrs,
		     struct vcpu_power_on *state)
{
	uint32_t next = 0;

	while (next < list->nmsrs) {
		int n;

		msrs->nmsrs = 0;
		for (uint32_t i = next; i < list->nmsrs; i++)
			msrs->entries[msrs->nmsrs++].index = list->indices[i];
		n = ioctl(vcpu_fd, KVM_GET_MSRS, msrs);
		if (n < 0)
			return -errno;
		for (int i = 0; i < n; i++) {
			/* Time goes on over a reset. A write of 0 means to KVM: as the machine's
			 * other processors; one that wrote its own, or met a triple fault under
			 * SVM, is not. */
			if (msrs->entries[i].index == MSR_TSC)
				msrs->entries[i].data = 0;
			state->msrs[state->n_msrs++] = msrs->entries[i];
		}
		next += n + 1;
	}
	return 0;
}

static int take_msrs(int kvm_fd, int vcpu_fd, struct vcpu_power_on *state)
{
	struct kvm_msr_list *list = NULL;
	struct kvm_msrs *msrs = NULL;
	int ret = -ENOMEM;

	list = calloc(1, sizeof(*list) + MSR_LIST_MAX * sizeof(list->indices[0]));
	if (!list)
		goto out;
	list->nmsrs = MSR_LIST_MAX;
	if (ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, list) < 0) {
		ret = -errno;
		goto out;
	}
	msrs = calloc(1, sizeof(*msrs) + list->nmsrs * sizeof(msrs->entries[0]));
	state->msrs = calloc(list->nmsrs + 1, sizeof(state->msrs[0]));
	if (msrs && state->msrs)
		ret = read_msrs(vcpu_fd, list, msrs, state);
out:
	free(msrs);
	free(list);
	return ret;
}

int vcpu_power_on_take(int kvm_fd, int vcpu_fd, struct vcpu_power_on **ret_state)
{
	struct vcpu_power_on *state = calloc(1, sizeof(*state));
	int ret;

	if (!state)
		return -ENOMEM;
	if (ioctl(vcpu_fd, KVM_GET_REGS, &state->regs) < 0 ||
	    ioctl(vcpu_fd, KVM_GET_SREGS, &state->sregs) < 0 ||
	    ioctl(vcpu_fd, KVM_GET_LAPIC, &state->lapic) < 0 ||
	    ioctl(vcpu_fd, KVM_GET_MP_STATE, &state->mp_state) < 0 ||
	    ioctl(vcpu_fd, KVM_GET_VCPU_EVENTS, &state->events) < 0 ||
	    ioctl(vcpu_fd, KVM_GET_DEBUGREGS, &state->debugregs) < 0) {
		ret = -errno;
		goto fail;
	}
	/* KVM answers with none for a processor without XSAVE, and refuses to set none. */
	state->has_xcrs = ioctl(vcpu_fd, KVM_GET_XCRS, &state->xcrs) == 0 &&
			  state->xcrs.nr_xcrs > 0;
	ret = take_msrs(kvm_fd, vcpu_fd, state);
	if (ret < 0)
		goto fail;
	*ret_state = state;
	return 0;

fail:
	vcpu_power_on_free(state);
	return ret;
}

void vcpu_power_on_free(struct vcpu_power_on *state)
{
	if (!state)
		return;
	free(state->msrs);
	free(state);
}

/* Some may only be read; those keep what they have. */
static void write_msrs(int vcpu_fd, const struct vcpu_power_on *state)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} one;

	for (uint32_t i = 0; i < state->n_msrs; i++) {
		memset(&one, 0, sizeof(one));
		one.head.nmsrs = 1;
		one.entry = state->msrs[i];
		(void)ioctl(vcpu_fd, KVM_SET_MSRS, &one);
	}
}

/* x87 and SSE as after power-on: a header that says that every component is in its initial state,
 * and the two control words, which are not covered by it. */
static int reset_fpu(int vcpu_fd)
{
	struct kvm_xsave *xsave = calloc(1, sizeof(*xsave));
	int ret = 0;

	if (!xsave)
		return -ENOMEM;
	xsave->region[0] = 0x37f; /* FCW */
	xsave->region[6] = 0x1f80; /* MXCSR */
	if (ioctl(vcpu_fd, KVM_SET_XSAVE, xsave) < 0)
		ret = -errno;
	free(xsave);
	return ret;
}

int vcpu_power_on_restore(int vcpu_fd, const struct vcpu_power_on *state)
{
	if (ioctl(vcpu_fd, KVM_SET_MP_STATE, &state->mp_state) < 0)
		return -errno;
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &state->sregs) < 0 ||
	    ioctl(vcpu_fd, KVM_SET_REGS, &state->regs) < 0)
		return -errno;
	write_msrs(vcpu_fd, state);
	if (ioctl(vcpu_fd, KVM_SET_LAPIC, &state->lapic) < 0 ||
	    ioctl(vcpu_fd, KVM_SET_VCPU_EVENTS, &state->events) < 0 ||
	    ioctl(vcpu_fd, KVM_SET_DEBUGREGS, &state->debugregs) < 0)
		return -errno;
	if (state->has_xcrs && ioctl(vcpu_fd, KVM_SET_XCRS, &state->xcrs) < 0)
		return -errno;
	return reset_fpu(vcpu_fd);
}

/* With memory types switched off, Linux believes that all memory is uncached and gives up PAT. */
int vcpu_set_boot_msrs(int vcpu_fd)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} one = {
		.head.nmsrs = 1,
		.entry = { .index = MSR_MTRR_DEFAULT_TYPE, .data = MTRR_ENABLE | MTRR_WRITE_BACK },
	};

	if (ioctl(vcpu_fd, KVM_SET_MSRS, &one) != 1)
		return -EIO;
	return 0;
}

static struct kvm_segment flat(bool code, bool long_mode)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = code ? 0x10 : 0x18,
		.type = code ? 11 : 3, /* execute and read, or read and write; accessed */
		.present = 1,
		.s = 1,
		.g = 1,
		.db = !(code && long_mode),
		.l = code && long_mode,
	};
}

int vcpu_set_entry(int vcpu_fd, const struct boot_entry *entry)
{
	struct kvm_regs regs = { .rip = entry->rip, .rflags = FLAGS_ONE };
	struct kvm_segment data = flat(false, entry->long_mode);
	struct kvm_sregs sregs;

	if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs = flat(true, entry->long_mode);
	sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = data;
	/* A busy 32-bit (or 64-bit) TSS of the least size, which entering a guest asks for. */
	sregs.tr = (struct kvm_segment){ .limit = 0x67, .type = 11, .present = 1 };
	sregs.idt = (struct kvm_dtable){ 0 };
	sregs.cr0 = CR0_PE | CR0_ET | CR0_NE;
	sregs.cr4 = 0;
	sregs.efer = 0;
	sregs.gdt = (struct kvm_dtable){ 0 };
	if (entry->long_mode) {
		sregs.gdt.base = LAYOUT_BOOT_GDT;
		sregs.gdt.limit = 4 * 8 - 1;
		sregs.cr3 = LAYOUT_BOOT_PAGES;
		sregs.cr4 = CR4_PAE;
		sregs.cr0 |= CR0_PG;
		sregs.efer = EFER_LME | EFER_LMA;
		regs.rsi = entry->info;
		regs.rsp = LAYOUT_BOOT_STACK;
	} else {
		regs.rbx = entry->info;
	}
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}

static void log_registers(unsigned int index, const struct kvm_regs *r, const struct kvm_sregs *s)
{
	const struct {
		const char *name;
		const struct kvm_segment *segment;
	} segments[] = { { "cs", &s->cs }, { "ds", &s->ds }, { "es", &s->es }, { "fs", &s->fs },
			 { "gs", &s->gs }, { "ss", &s->ss }, { "tr", &s->tr }, { "ldt", &s->ldt } };

	log_error("cpu %u: rip=%016llx rflags=%08llx rsp=%016llx rbp=%016llx", index, r->rip,
		  r->rflags, r->rsp, r->rbp);
	log_error("cpu %u: rax=%016llx rbx=%016llx rcx=%016llx rdx=%016llx", index, r->rax, r->rbx,
		  r->rcx, r->rdx);
	log_error("cpu %u: rsi=%016llx rdi=%016llx r8 =%016llx r9 =%016llx", index, r->rsi, r->rdi,
		  r->r8, r->r9);
	log_error("cpu %u: r10=%016llx r11=%016llx r12=%016llx r13=%016llx", index, r->r10, r->r11,
		  r->r12, r->r13);
	log_error("cpu %u: r14=%016llx r15=%016llx cr0=%08llx cr2=%016llx", index, r->r14, r->r15,
		  s->cr0, s->cr2);
	log_error("cpu %u: cr3=%016llx cr4=%08llx cr8=%llx efer=%08llx apic=%08llx", index, s->cr3,
		  s->cr4, s->cr8, s->efer, s->apic_base);
	for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++)
		log_error("cpu %u: %-3s %04x base=%016llx limit=%08x type=%x dpl=%u l=%u db=%u",
			  index, segments[i].name, segments[i].segment->selector,
			  segments[i].segment->base, segments[i].segment->limit,
			  segments[i].segment->type, segments[i].segment->dpl,
			  segments[i].segment->l, segments[i].segment->db);
	log_error("cpu %u: gdt base=%016llx limit=%04x  idt base=%016llx limit=%04x", index,
		  s->gdt.base, s->gdt.limit, s->idt.base, s->idt.limit);
}

/* The bytes at the instruction pointer, as far as they can be reached. */
static void log_code(int vcpu_fd, unsigned int index, const struct kvm_regs *regs,
		     const struct kvm_sregs *sregs, const struct memory *memory)
{
	struct kvm_translation where = { .linear_address = sregs->cs.base + regs->rip };
	char text[3 * 16 + 1] = "";
	uint8_t code[16];
	size_t len = sizeof(code);

	if (ioctl(vcpu_fd, KVM_TRANSLATE, &where) < 0 || !where.valid) {
		log_error("cpu %u: code: address %016llx is not mapped", index,
			  where.linear_address);
		return;
	}
	if (4096 - where.physical_address % 4096 < len)
		len = 4096 - where.physical_address % 4096;
	if (memory_read(memory, where.physical_address, code, len) < 0) {
		log_error("cpu %u: code: physical address %016llx is not memory", index,
			  where.physical_address);
		return;
	}
	for (size_t i = 0; i < len; i++)
		snprintf(text + 3 * i, 4, " %02x", code[i]);
	log_error("cpu %u: code at rip:%s", index, text);
}

void vcpu_log_crash(int vcpu_fd, unsigned int index, const struct kvm_run *run,
		    const struct memory *memory, const char *what)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	log_error("cpu %u: %s; exit reason %u", index, what, run->exit_reason);
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR) {
		log_error("cpu %u: suberror %u", index, run->internal.suberror);
		for (uint32_t i = 0; i < run->internal.ndata && i < 16; i++)
			log_error("cpu %u: data %u: %016llx", index, i, run->internal.data[i]);
	} else if (run->exit_reason == KVM_EXIT_FAIL_ENTRY) {
		log_error("cpu %u: hardware reason %016llx", index,
			  run->fail_entry.hardware_entry_failure_reason);
	}
	if (ioctl(vcpu_fd, KVM_GET_REGS, &regs) < 0 || ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0) {
		log_error("cpu %u: its registers cannot be read", index);
		return;
	}
	log_registers(index, &regs, &sregs);
	log_code(vcpu_fd, index, &regs, &sregs, memory);
}
