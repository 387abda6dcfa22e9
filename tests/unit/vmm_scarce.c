// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the host does not give (T55): lodge-vmm's start with its first, second, ... n-th system call
 * for a resource refused, until there is none left to refuse. A tracer puts a harmless call in the
 * place of the n-th and hands back the error that the kernel gives where memory, descriptors or
 * threads have run out. Each time the monitor either does without, and its guest runs, or it says
 * what failed and ends; nothing of the VM stays behind.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host-vmm/kvm.h"
#include "protocol/lib/fd.h"
#include "tests/unit/tiny_kernel.h"
#include "tests/unit/unit.h"

#define TRACE_OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)
#define LIMIT_S	      15
#define MOST_CALLS    2000 /* a start that asks for more than so many resources is a bug, too */

TINY_CODE(guest, 32,
	  "mov $0x3f8, %dx\n mov $'G', %al\n out %al, %dx\n"
	  "mov $0x604, %dx\n mov $0x3400, %ax\n out %ax, %dx\n 1: hlt\n jmp 1b\n");

/* Calls that ask for something, and what they say when there is none. */
static const struct resource {
	long call;
	int error;
} resources[] = {
	{ SYS_mmap, ENOMEM },
	{ SYS_mprotect, ENOMEM },
	{ SYS_mremap, ENOMEM },
	{ SYS_brk, ENOMEM },
	{ SYS_openat, EMFILE },
	{ SYS_openat2, EMFILE },
	{ SYS_memfd_create, EMFILE },
	{ SYS_ftruncate, ENOSPC },
	{ SYS_fallocate, ENOSPC },
	{ SYS_eventfd2, EMFILE },
	{ SYS_timerfd_create, EMFILE },
	{ SYS_signalfd4, EMFILE },
	{ SYS_epoll_create1, EMFILE },
	{ SYS_epoll_ctl, ENOMEM },
	{ SYS_inotify_init1, EMFILE },
	{ SYS_socket, EMFILE },
	{ SYS_socketpair, EMFILE },
	{ SYS_bind, ENOSPC },
	{ SYS_listen, ENOMEM },
	{ SYS_pipe2, EMFILE },
	{ SYS_dup3, EMFILE },
	{ SYS_fcntl, EMFILE },
	{ SYS_mkdirat, ENOSPC },
	{ SYS_mkdir, ENOSPC },
	{ SYS_ioctl, ENOMEM },
	{ SYS_clone, EAGAIN },
	{ SYS_clone3, EAGAIN },
	{ SYS_io_uring_setup, ENOMEM },
	{ SYS_io_uring_register, ENOMEM },
	{ SYS_prctl, ENOMEM },
	{ SYS_seccomp, ENOMEM },
	{ SYS_getrandom, ENOSYS },
};

static char dir[] = "/tmp/vmm_scarce.XXXXXX";

/* One start. */
struct trial {
	unsigned int refuse; /* the call, counted from 1 */
	unsigned int counted;
	bool hung;
	bool begun; /* the program's own code: the loader's calls are not counted */
	pid_t in_refused;
	int error;
	long call;
	unsigned long long rdi;
	int status;
	char said[4096];
};

static char *below(char path[static 128], const char *name)
{
	snprintf(path, 128, "%s/%s", dir, name);
	return path;
}

static void write_vm(void)
{
	char path[128];
	FILE *conf;

	ck_assert_int_eq(mkdir(below(path, "vm"), 0700), 0);
	ck_assert_int_eq(mkdir(below(path, "share"), 0700), 0);
	tiny_kernel_write_elf(below(path, "kernel"), guest);
	conf = fopen(below(path, "disk"), "w");
	ck_assert_ptr_nonnull(conf);
	ck_assert_int_eq(ftruncate(fileno(conf), 1 << 20), 0);
	fclose(conf);
	conf = fopen(below(path, "vm/vm.conf"), "w");
	ck_assert_ptr_nonnull(conf);
	fprintf(conf,
		"[cpu]\ncount=2\n[memory]\nsize=32M\n[boot]\nkernel=%s/kernel\n"
		"[serial]\nbackend=file:%s/serial\n[disk system]\nfile=%s/disk\n"
		"[share data]\npath=%s/share\n[display]\nheads=2\n",
		dir, dir, dir, dir);
	fclose(conf);
}

/* BUILD/bin/lodge-vmm, this being BUILD/unit/NAME. */
static void exec_monitor(int err)
{
	char program[512], vm[128], runtime[128];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 32);

	if (n < 0)
		_exit(99);
	program[n] = '\0';
	strcpy(strrchr(program, '/'), "/../bin/lodge-vmm");
	dup2(err, STDERR_FILENO);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	execl(program, "lodge-vmm", "--vm", below(vm, "vm"), "--runtime", below(runtime, "run"),
	      NULL);
	_exit(98);
}

static const struct resource *find_resource(long call)
{
	for (size_t i = 0; i < sizeof(resources) / sizeof(*resources); i++)
		if (resources[i].call == call)
			return &resources[i];
	return NULL;
}

/* The kernel's ABI has the registers of a call unchanged after it, so what we change goes back. */
static void refuse(struct trial *trial, pid_t tid, const struct resource *resource)
{
	struct user_regs_struct regs;

	ck_assert_int_eq(ptrace(PTRACE_GETREGS, tid, NULL, &regs), 0);
	trial->rdi = regs.rdi;
	trial->call = resource->call;
	trial->error = resource->error;
	trial->in_refused = tid;
	regs.orig_rax = SYS_close;
	regs.rdi = (unsigned long long)-1;
	ck_assert_int_eq(ptrace(PTRACE_SETREGS, tid, NULL, &regs), 0);
}

static void hand_back_error(struct trial *trial, pid_t tid)
{
	struct user_regs_struct regs;

	trial->in_refused = 0;
	ck_assert_int_eq(ptrace(PTRACE_GETREGS, tid, NULL, &regs), 0);
	/* brk tells by the old end. */
	regs.rax = trial->call == SYS_brk ? 0 : (unsigned long long)-trial->error;
	regs.rdi = trial->rdi;
	ck_assert_int_eq(ptrace(PTRACE_SETREGS, tid, NULL, &regs), 0);
}

static void at_call(struct trial *trial, pid_t tid)
{
	struct __ptrace_syscall_info info = { 0 };
	const struct resource *resource;

	ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info);
	if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
		if (trial->in_refused == tid)
			hand_back_error(trial, tid);
		return;
	}
	if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	/* The loader is done with the libraries when it gives back what it read of its cache. */
	if (info.entry.nr == SYS_munmap)
		trial->begun = true;
	resource = find_resource((long)info.entry.nr);
	if (resource && trial->begun && ++trial->counted == trial->refuse)
		refuse(trial, tid, resource);
}

/* Follows all threads until the process has ended. */
static void follow(struct trial *trial, pid_t pid)
{
	int status, signal;
	pid_t tid;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(ptrace(PTRACE_SETOPTIONS, pid, NULL, TRACE_OPTIONS), 0);
	ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
	for (;;) {
		tid = waitpid(-1, &status, __WALL);
		if (tid < 0 && errno == EINTR) {
			trial->hung = true;
			kill(pid, SIGKILL);
			continue;
		}
		ck_assert_int_gt(tid, 0);
		if (!WIFSTOPPED(status)) {
			if (tid == pid)
				break;
			continue;
		}
		signal = WSTOPSIG(status);
		if (signal == (SIGTRAP | 0x80)) {
			at_call(trial, tid);
			signal = 0;
		} else if (signal == SIGTRAP || signal == SIGSTOP) {
			signal = 0;
		}
		ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(intptr_t)signal);
	}
	trial->status = status;
}

static void try_start(struct trial *trial)
{
	char path[128];
	ssize_t n;
	int err;
	pid_t pid;

	(void)unlink(below(path, "serial"));
	err = open(below(path, "err"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(err, 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid)
		exec_monitor(err);
	alarm(LIMIT_S);
	follow(trial, pid);
	alarm(0);
	n = pread(err, trial->said, sizeof(trial->said) - 1, 0);
	ck_assert_int_ge(n, 0);
	trial->said[n] = '\0';
	close(err);
}

static bool guest_ran(void)
{
	char path[128], c = 0;
	FILE *serial = fopen(below(path, "serial"), "r");

	if (!serial)
		return false;
	c = (char)fgetc(serial);
	fclose(serial);
	return c == 'G';
}

static unsigned int left_behind(void)
{
	char path[128];
	DIR *runtime = opendir(below(path, "run"));
	const struct dirent *entry;
	unsigned int n = 0;

	if (!runtime)
		return 0;
	while ((entry = readdir(runtime)))
		n += entry->d_name[0] != '.';
	closedir(runtime);
	return n;
}

static void wake_tracer(int signal)
{
	(void)signal;
}

/* What is wrong with how the trial ended; NULL if nothing. */
static const char *fault_of(const struct trial *trial)
{
	if (trial->hung)
		return "hung";
	if (!WIFEXITED(trial->status))
		return "died of a signal";
	if (WEXITSTATUS(trial->status) && !strstr(trial->said, "rror: "))
		return "ended without a word";
	if (!WEXITSTATUS(trial->status) && !guest_ran())
		return "ended well, and no guest ran";
	return left_behind() ? "left files in the run-time folder" : NULL;
}

START_TEST(t55_each_resource_refused)
{
	struct trial trial;
	unsigned int n = 0, did_without = 0, faults = 0;
	const char *fault;

	write_vm();
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = wake_tracer }, NULL);
	do {
		memset(&trial, 0, sizeof(trial));
		trial.refuse = ++n;
		try_start(&trial);
		fault = fault_of(&trial);
		if (fault)
			printf("call %ld, the %u-th, refused: %s (status %#x): %s\n", trial.call, n,
			       fault, trial.status, trial.said);
		fflush(stdout);
		faults += !!fault;
		did_without += !trial.status;
	} while (trial.counted >= n && n < MOST_CALLS);
	printf("vmm_scarce: %u calls refused, one at a time; %u done without\n", n - 1,
	       did_without);
	ck_assert_msg(n > 50, "only %u calls: status %d: %s", n, trial.status, trial.said);
	ck_assert_uint_lt(n, MOST_CALLS);
	ck_assert_uint_lt(did_without, n / 2);
	ck_assert_uint_eq(faults, 0);
}
END_TEST

static bool has_kvm(void)
{
	char message[KVM_MESSAGE_MAX];
	autofd fd = -1;

	if (kvm_open(&fd, message) < 0) {
		printf("vmm_scarce: skipped: %s\n", message);
		return false;
	}
	return true;
}

int main(void)
{
	char command[64];
	Suite *suite = suite_create("vmm_scarce");
	TCase *tcase = tcase_create("start");
	int status;

	if (!has_kvm())
		return EXIT_SUCCESS;
	if (!mkdtemp(dir))
		return EXIT_FAILURE;
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, t55_each_resource_refused);
	suite_add_tcase(suite, tcase);
	status = unit_run(suite);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) || status ? EXIT_FAILURE : EXIT_SUCCESS;
}
