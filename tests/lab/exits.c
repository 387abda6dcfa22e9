// SPDX-License-Identifier: GPL-2.0-or-later
// What a VM exit costs on this KVM host: runs a real-mode guest of a few bytes that does nothing
// but exit, and prints nanoseconds for each exit to the kernel (CPUID) and to user space (OUT).
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#define CODE_AT 0x1000
#define MEMORY	0x10000

struct tiny {
	int vcpu;
	struct kvm_run *run;
	unsigned char *memory;
};

/* 1: xor eax, eax; cpuid; dec esi; jnz 1b; out 0x80, al; jmp 1b: CPUID writes EBX, ECX and EDX. */
static const unsigned char loop_cpuid[] = { 0x66, 0x31, 0xc0, 0x0f, 0xa2, 0x66, 0x4e,
					    0x75, 0xf7, 0xe6, 0x80, 0xeb, 0xf3 };
static const unsigned char loop_out[] = { 0xe6, 0x80, 0xeb, 0xfc };
static const unsigned char loop_none[] = { 0x66, 0x4e, 0x75, 0xfc, 0xe6, 0x80, 0xeb, 0xf8 };

static void check(const char *what, int ret)
{
	if (ret >= 0)
		return;
	perror(what);
	exit(1);
}

static void make_vm(struct tiny *t)
{
	struct kvm_sregs sregs;
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm, size;

	check("/dev/kvm", kvm);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	check("KVM_CREATE_VM", vm);
	t->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check("mmap", t->memory == MAP_FAILED ? -1 : 0);
	check("KVM_SET_USER_MEMORY_REGION",
	      ioctl(vm, KVM_SET_USER_MEMORY_REGION,
		    &(struct kvm_userspace_memory_region){
			    .memory_size = MEMORY, .userspace_addr = (unsigned long)t->memory }));
	t->vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	check("KVM_CREATE_VCPU", t->vcpu);
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	t->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, t->vcpu, 0);
	check("mmap of kvm_run", t->run == MAP_FAILED ? -1 : 0);
	check("KVM_GET_SREGS", ioctl(t->vcpu, KVM_GET_SREGS, &sregs));
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	check("KVM_SET_SREGS", ioctl(t->vcpu, KVM_SET_SREGS, &sregs));
}

/* Seconds that `exits` returns to user space take, with `loops` rounds in the guest for each. */
static double timed(struct tiny *t, const unsigned char *code, size_t len, int exits, int loops)
{
	struct kvm_regs regs = { .rip = CODE_AT, .rflags = 2, .rsi = (unsigned int)loops };
	struct timespec a, b;

	memcpy(t->memory + CODE_AT, code, len);
	check("KVM_SET_REGS", ioctl(t->vcpu, KVM_SET_REGS, &regs));
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < exits; i++) {
		check("KVM_RUN", ioctl(t->vcpu, KVM_RUN, 0));
		if (t->run->exit_reason != KVM_EXIT_IO) {
			fprintf(stderr, "lab-exits: exit reason %u\n", t->run->exit_reason);
			exit(1);
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

int main(void)
{
	struct tiny t;

	make_vm(&t);
	timed(&t, loop_out, sizeof(loop_out), 1000, 1);
	printf("exit.user %.0f ns\n",
	       timed(&t, loop_out, sizeof(loop_out), 20000, 1) / 20000 * 1e9);
	printf("exit.kernel %.0f ns\n",
	       timed(&t, loop_cpuid, sizeof(loop_cpuid), 1, 20000) / 20000 * 1e9);
	printf("loop %.2f ns\n", timed(&t, loop_none, sizeof(loop_none), 1, 20000000) / 2e7 * 1e9);
	return 0;
}
