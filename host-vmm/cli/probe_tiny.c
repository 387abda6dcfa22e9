// SPDX-License-Identifier: GPL-2.0-or-later
// Runs a few instructions of 64-bit code under KVM, and counts with them.
#include "host-vmm/cli/probe_tiny.h"

#include <asm/processor-flags.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "protocol/lib/fd.h"

#define MEMORY	      0x200000u /* one page of 2 MiB, mapped where it is */
#define PML4	      0x1000u
#define PDPT	      0x2000u
#define PD	      0x3000u
#define CODE	      0x4000u
#define DONE_PORT     0xf4
#define DONE_BYTE     0x5a
#define EFER_LME      (1u << 8) /* Intel SDM volume 3, 2.2.1 */
#define EFER_LMA      (1u << 10)
#define CPUID_ENTRIES 256 /* KVM_MAX_CPUID_ENTRIES of the kernel */
#define PRESENT_W     3u
#define PAGE_2M	      0x80u

/*
 * What early Linux does, too: SSE state saved, CPUID, MSRs, control registers and the TLB touched,
 * then the counting.
 */
static const uint8_t code[] = {
	0x48, 0xc7,	 0xc7, 0x00,	  0x80, 0x00, 0x00, /*    mov $0x8000, %rdi */
	0x0f, 0xae,	 0x07, /*			        fxsave (%rdi) */
	0x66, 0x0f,	 0xef, 0xc0, /*		        pxor %xmm0, %xmm0 */
	0x31, 0xc0,	 0x31, 0xc9, /*		        xor %eax, %eax; xor %ecx, %ecx */
	0x0f, 0xa2, /*				        cpuid */
	0x0f, 0x31, /*				        rdtsc */
	0xb9, 0x80,	 0x00, 0x00,	  0xc0, /*	        mov $0xc0000080, %ecx (EFER) */
	0x0f, 0x32,	 0x0f, 0x30, /*		        rdmsr; wrmsr */
	0x0f, 0x20,	 0xd8, 0x0f,	  0x22, 0xd8, /*	        mov %cr3, %rax; mov %rax,
							 %cr3 */
	0x0f, 0x01,	 0x3f, /*			        invlpg (%rdi) */
	0xb9, 0x80,	 0x96, 0x98,	  0x00, /*	        mov $TINY_LOOPS, %ecx */
	0x48, 0x01,	 0xc8, /*			     1: add %rcx, %rax */
	0x48, 0x31,	 0xd8, /*			        xor %rbx, %rax */
	0xff, 0xc9, /*				        dec %ecx */
	0x75, 0xf6, /*				        jnz 1b */
	0xb0, DONE_BYTE, 0xe6, DONE_PORT, /*	        mov $DONE_BYTE, %al; out %al, $DONE_PORT */
	0xf4, /*				        hlt */
};

struct tiny {
	int kvm, vm, vcpu;
	uint8_t *memory;
	struct kvm_run *run;
	size_t run_size;
};

static void tiny_clear(struct tiny *tiny)
{
	if (tiny->run != MAP_FAILED)
		munmap(tiny->run, tiny->run_size);
	if (tiny->memory != MAP_FAILED)
		munmap(tiny->memory, MEMORY);
	fd_close(&tiny->vcpu);
	fd_close(&tiny->vm);
	fd_close(&tiny->kvm);
}

static void put_entry(struct tiny *tiny, uint32_t at, uint64_t entry)
{
	memcpy(tiny->memory + at, &entry, sizeof(entry));
}

static int set_registers(struct tiny *tiny)
{
	struct kvm_segment segment = { .limit = 0xffffffff, .present = 1, .s = 1, .g = 1 };
	struct kvm_regs regs = { .rip = CODE, .rsp = MEMORY - 16, .rflags = X86_EFLAGS_FIXED };
	struct kvm_sregs sregs;

	if (ioctl(tiny->vcpu, KVM_GET_SREGS, &sregs))
		return -errno;
	segment.type = 3; /* data, read and write */
	segment.selector = 0x10;
	segment.db = 1;
	sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = segment;
	segment.type = 11; /* code, read and execute */
	segment.selector = 0x8;
	segment.db = 0;
	segment.l = 1;
	sregs.cs = segment;
	sregs.cr3 = PML4;
	sregs.cr4 = X86_CR4_PAE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;
	sregs.cr0 = X86_CR0_PE | X86_CR0_MP | X86_CR0_NE | X86_CR0_PG;
	sregs.efer = EFER_LME | EFER_LMA;
	if (ioctl(tiny->vcpu, KVM_SET_SREGS, &sregs) || ioctl(tiny->vcpu, KVM_SET_REGS, &regs))
		return -errno;
	return 0;
}

static int make_memory(struct tiny *tiny)
{
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY };

	tiny->memory =
		mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (tiny->memory == MAP_FAILED)
		return -errno;
	put_entry(tiny, PML4, PDPT | PRESENT_W);
	put_entry(tiny, PDPT, PD | PRESENT_W);
	put_entry(tiny, PD, PAGE_2M | PRESENT_W);
	memcpy(tiny->memory + CODE, code, sizeof(code));
	region.userspace_addr = (uintptr_t)tiny->memory;
	return ioctl(tiny->vm, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

/* Without it KVM's guest has no long mode to speak of, and WRMSR of EFER faults. */
static int set_cpuid(struct tiny *tiny)
{
	g_autofree struct kvm_cpuid2 *cpuid =
		g_malloc0(sizeof(*cpuid) + CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2));

	cpuid->nent = CPUID_ENTRIES;
	if (ioctl(tiny->kvm, KVM_GET_SUPPORTED_CPUID, cpuid) ||
	    ioctl(tiny->vcpu, KVM_SET_CPUID2, cpuid))
		return -errno;
	return 0;
}

static int tiny_make(struct tiny *tiny)
{
	int size, ret;

	tiny->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (tiny->kvm < 0)
		return -errno;
	tiny->vm = ioctl(tiny->kvm, KVM_CREATE_VM, 0);
	if (tiny->vm < 0)
		return -errno;
	/* Where old Intel processors need a page for themselves; others do not mind. */
	(void)ioctl(tiny->vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	ret = make_memory(tiny);
	if (ret)
		return ret;
	tiny->vcpu = ioctl(tiny->vm, KVM_CREATE_VCPU, 0);
	if (tiny->vcpu < 0)
		return -errno;
	size = ioctl(tiny->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(*tiny->run))
		return size < 0 ? -errno : -EINVAL;
	tiny->run_size = (size_t)size;
	tiny->run = mmap(NULL, tiny->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, tiny->vcpu, 0);
	if (tiny->run == MAP_FAILED)
		return -errno;
	ret = set_cpuid(tiny);
	return ret ? ret : set_registers(tiny);
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* KVM_RUN comes back from a signal, so that the time limit holds whatever the guest does. */
static int tiny_run(struct tiny *tiny, gint64 end)
{
	const struct itimerval often = { { 0, 100000 }, { 0, 100000 } }, never = { 0 };
	const struct sigaction action = { .sa_handler = on_alarm };
	struct sigaction before;
	int ret;

	sigaction(SIGALRM, &action, &before);
	setitimer(ITIMER_REAL, &often, NULL);
	do {
		ret = ioctl(tiny->vcpu, KVM_RUN, 0) ? -errno : 0;
	} while (ret == -EINTR && g_get_monotonic_time() < end);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &before, NULL);
	return ret;
}

static int judge(const struct tiny *tiny, int ret, char **ret_why)
{
	const struct kvm_run *run = tiny->run;

	if (ret == -EINTR) {
		*ret_why =
			g_strdup_printf("it did not count to %d within %d s: this KVM interprets "
					"guests instead of running them",
					TINY_LOOPS, TINY_LIMIT_MS / 1000);
		return -ETIMEDOUT;
	}
	if (ret) {
		*ret_why = g_strdup_printf("KVM_RUN: %s", g_strerror(-ret));
		return ret;
	}
	if (run->exit_reason == KVM_EXIT_IO && run->io.port == DONE_PORT &&
	    *((const uint8_t *)run + run->io.data_offset) == DONE_BYTE)
		return 0;
	if (run->exit_reason == KVM_EXIT_SHUTDOWN)
		*ret_why = g_strdup("triple fault");
	else if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		*ret_why = g_strdup_printf("KVM's internal error %u: it met what it cannot run",
					   run->internal.suberror);
	else
		*ret_why = g_strdup_printf("KVM gave up with exit reason %u", run->exit_reason);
	return -EIO;
}

int probe_tiny(unsigned int *ret_ms, char **ret_why)
{
	struct tiny tiny = {
		.kvm = -1, .vm = -1, .vcpu = -1, .memory = MAP_FAILED, .run = MAP_FAILED
	};
	gint64 start;
	int ret;

	*ret_why = NULL;
	ret = tiny_make(&tiny);
	if (ret) {
		*ret_why = g_strdup_printf("it cannot be made: %s", g_strerror(-ret));
	} else {
		start = g_get_monotonic_time();
		ret = tiny_run(&tiny, start + TINY_LIMIT_MS * 1000);
		*ret_ms = (unsigned int)((g_get_monotonic_time() - start) / 1000);
		ret = judge(&tiny, ret, ret_why);
	}
	tiny_clear(&tiny);
	return ret;
}
