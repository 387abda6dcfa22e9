// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Theory of operation. The program holds the call's number in the accumulator. First come the
 * conditions, in the order in which they were added: each compares the number, loads the argument's
 * halves, and so ends in a load of the number for the next one. Then a binary search finds the call
 * among those without a condition. The search is for the kernel's sake: before it takes a program
 * it runs it once for each call that there is, to learn which it need not be asked about.
 *
 * Sources: Linux Documentation/userspace-api/seccomp_filter.rst, <linux/seccomp.h>.
 */
#include "protocol/lib/seccomp_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Lodge's hosts are x86-64. */
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define X32_BIT	     0x40000000u /* __X32_SYSCALL_BIT of <asm/unistd.h> */

#define LOAD	    (BPF_LD | BPF_W | BPF_ABS)
#define IF_EQUAL    (BPF_JMP | BPF_JEQ | BPF_K)
#define IF_BITS	    (BPF_JMP | BPF_JSET | BPF_K)
#define IF_AT_LEAST (BPF_JMP | BPF_JGE | BPF_K)
#define GO	    (BPF_JMP | BPF_JA)
#define MASK	    (BPF_ALU | BPF_AND | BPF_K)
#define RETURN	    (BPF_RET | BPF_K)

#define LEAF_CALLS 4u /* a search among fewer costs more than it saves */

#define AT_NUMBER offsetof(struct seccomp_data, nr)
#define AT_ARCH	  offsetof(struct seccomp_data, arch)

static const struct seccomp_row attacks[] = {
	{ SYS_execve, "runs programs" },
	{ SYS_execveat, "runs programs" },
	{ SYS_ptrace, "takes over processes" },
	{ SYS_process_vm_readv, "reads processes" },
	{ SYS_process_vm_writev, "takes over processes" },
	{ SYS_kexec_load, "takes over the host" },
	{ SYS_init_module, "takes over the host" },
	{ SYS_finit_module, "takes over the host" },
	{ SYS_bpf, "takes over the host" },
	{ SYS_userfaultfd, "stops the kernel in its tracks" },
	{ SYS_keyctl, "reads keys" },
	{ SYS_add_key, "stores keys" },
	{ SYS_mount, "changes what paths mean" },
	{ SYS_pivot_root, "changes what paths mean" },
	{ SYS_unshare, "gets privileges in a namespace" },
	{ SYS_setns, "gets privileges in a namespace" },
};

static void emit(struct seccomp_filter *filter, uint16_t code, uint8_t if_true, uint8_t if_false,
		 uint32_t value)
{
	if (filter->len == SECCOMP_FILTER_MAX) {
		filter->full = true;
		return;
	}
	filter->code[filter->len++] =
		(struct sock_filter){ .code = code, .jt = if_true, .jf = if_false, .k = value };
}

void seccomp_filter_begin(struct seccomp_filter *filter)
{
	filter->len = filter->n_calls = 0;
	filter->full = false;
	emit(filter, LOAD, 0, 0, AT_ARCH);
	emit(filter, IF_EQUAL, 1, 0, ARCHITECTURE);
	emit(filter, RETURN, 0, 0, SECCOMP_RET_KILL_PROCESS);
	emit(filter, LOAD, 0, 0, AT_NUMBER);
	emit(filter, IF_BITS, 0, 1, X32_BIT);
	emit(filter, RETURN, 0, 0, SECCOMP_RET_KILL_PROCESS);
}

void seccomp_filter_add(struct seccomp_filter *filter, long call, enum seccomp_verdict verdict)
{
	if (filter->n_calls == SECCOMP_CALLS_MAX) {
		filter->full = true;
		return;
	}
	filter->calls[filter->n_calls++] = (struct seccomp_call){
		.number = (uint32_t)call,
		.action = verdict == SECCOMP_ALLOW ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS,
	};
}

void seccomp_filter_add_rows(struct seccomp_filter *filter, enum seccomp_verdict verdict,
			     const struct seccomp_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		seccomp_filter_add(filter, rows[i].call, verdict);
}

void seccomp_filter_add_attacks(struct seccomp_filter *filter)
{
	seccomp_filter_add_rows(filter, SECCOMP_KILL, attacks,
				sizeof(attacks) / sizeof(attacks[0]));
}

void seccomp_filter_add_if(struct seccomp_filter *filter, long call, unsigned int arg,
			   uint64_t mask, uint64_t value)
{
	/* Little-endian: the low half comes first. */
	uint32_t low = offsetof(struct seccomp_data, args) + 8 * arg;

	emit(filter, IF_EQUAL, 0, 8, (uint32_t)call);
	emit(filter, LOAD, 0, 0, low);
	emit(filter, MASK, 0, 0, (uint32_t)mask);
	emit(filter, IF_EQUAL, 0, 4, (uint32_t)value);
	emit(filter, LOAD, 0, 0, low + 4);
	emit(filter, MASK, 0, 0, (uint32_t)(mask >> 32));
	emit(filter, IF_EQUAL, 0, 1, (uint32_t)(value >> 32));
	emit(filter, RETURN, 0, 0, SECCOMP_RET_ALLOW);
	emit(filter, LOAD, 0, 0, AT_NUMBER);
}

static int by_number(const void *a, const void *b)
{
	const struct seccomp_call *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* Searches @calls, which are in order; ends in a return on every way. */
static void emit_search(struct seccomp_filter *filter, const struct seccomp_call *calls, size_t n,
			uint32_t otherwise)
{
	size_t half = n / 2, jump;

	if (n <= LEAF_CALLS) {
		for (size_t i = 0; i < n; i++) {
			emit(filter, IF_EQUAL, 0, 1, calls[i].number);
			emit(filter, RETURN, 0, 0, calls[i].action);
		}
		emit(filter, RETURN, 0, 0, otherwise);
		return;
	}
	/* A conditional jump reaches 255 instructions, another one any distance. */
	emit(filter, IF_AT_LEAST, 0, 1, calls[half].number);
	jump = filter->len;
	emit(filter, GO, 0, 0, 0);
	emit_search(filter, calls, half, otherwise);
	if (!filter->full)
		filter->code[jump].k = (uint32_t)(filter->len - jump - 1);
	emit_search(filter, calls + half, n - half, otherwise);
}

int seccomp_filter_enter(struct seccomp_filter *filter, int error)
{
	struct sock_fprog program = { .filter = filter->code };
	long ret;

	qsort(filter->calls, filter->n_calls, sizeof(filter->calls[0]), by_number);
	emit_search(filter, filter->calls, filter->n_calls, SECCOMP_RET_ERRNO | (uint32_t)error);
	if (filter->full)
		return -E2BIG;
	program.len = (unsigned short)filter->len;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* Threads that hold still get the filter, too. */
	ret = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
	if (ret < 0)
		return -errno;
	return ret > 0 ? -EBUSY : 0;
}
