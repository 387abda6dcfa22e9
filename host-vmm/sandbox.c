// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The monitor's own sandbox: no new privileges, and a list of the system calls that are left.
 *
 * Theory of operation. A guest that finds a mistake in a device model runs code in this process.
 * What that is worth to it depends on the stage:
 *
 *   1. Set-up. Everything is possible that the user may do: files, sockets and processes are opened
 *      by vm.conf alone, and no guest runs. Helpers are forked: the file server's starter.
 *   2. sandbox_enter(). One filter for all threads, by TSYNC: threads share their memory, so a
 *      stricter one for the vCPUs would be a fence in the middle of a field. From here on there is
 *      no fork, no exec, no new memory that can be executed, no socket but Unix stream sockets (and
 *      those where needs.connect says so), no ptrace, no mount, no namespace, no key, no signal to
 *      others, and no file opened (to read, where needs.open_files says so; a folder to name it to
 *      lodge-fsd, where needs.open_folders does).
 *
 * What is still possible after stage 2: whatever the open descriptors allow (this VM's disks, its
 * memory, KVM, its clients), orders to lodge-fsd (share one more folder) and to its starter,
 * removing a file (the control socket is removed at the end), and where needs.io_uring is set what
 * io_uring can do without a system call of its own, opening files among it.
 *
 * What is not listed gives EPERM, so that a call that a library makes for its comfort (the time
 * zone's file, say) does not end a user's VM. What no library makes for comfort kills the process.
 */
#include "host-vmm/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/conf/vmconf.h"

struct row {
	int call;
	const char *why;
};

static const struct row always[] = {
	/* memory */
	{ SCMP_SYS(brk), "malloc" },
	{ SCMP_SYS(mremap), "malloc" },
	{ SCMP_SYS(munmap), "malloc, ends of threads" },
	{ SCMP_SYS(madvise), "malloc, the balloon, ends of threads" },
	/* descriptors that are open */
	{ SCMP_SYS(close), "clients that go" },
	{ SCMP_SYS(read), "eventfds, pipes, terminals" },
	{ SCMP_SYS(readv), "character devices" },
	{ SCMP_SYS(pread64), "boot images, records of requests in flight" },
	{ SCMP_SYS(preadv), "disks without io_uring" },
	{ SCMP_SYS(preadv2), "disks without io_uring" },
	{ SCMP_SYS(write), "eventfds, log lines, terminals" },
	{ SCMP_SYS(writev), "character devices" },
	{ SCMP_SYS(pwrite64), "clearing of memory" },
	{ SCMP_SYS(pwritev), "disks without io_uring" },
	{ SCMP_SYS(pwritev2), "disks without io_uring" },
	{ SCMP_SYS(lseek), "sizes" },
	{ SCMP_SYS(fallocate), "memory and discards given back" },
	{ SCMP_SYS(ftruncate), "bounded log files" },
	{ SCMP_SYS(fsync), "disks" },
	{ SCMP_SYS(fdatasync), "disks" },
	{ SCMP_SYS(sync_file_range), "disks" },
	{ SCMP_SYS(copy_file_range), "bounded log files" },
	{ SCMP_SYS(fstat), "sizes" },
	{ SCMP_SYS(newfstatat), "fstat() of newer C libraries" },
	{ SCMP_SYS(fcntl), "non-blocking, seals" },
	{ SCMP_SYS(flock), "disks' locks" },
	{ SCMP_SYS(faccessat2), "whether a share that comes later can be read" },
	{ SCMP_SYS(faccessat), "the same, older C libraries" },
	{ SCMP_SYS(unlink), "sockets of ours, at the end" },
	/* waiting */
	{ SCMP_SYS(poll), "main loop, vhost-user" },
	{ SCMP_SYS(ppoll), "main loops" },
	{ SCMP_SYS(epoll_create1), "loops" },
	{ SCMP_SYS(epoll_ctl), "loops" },
	{ SCMP_SYS(epoll_wait), "loops" },
	{ SCMP_SYS(epoll_pwait), "loops" },
	{ SCMP_SYS(epoll_pwait2), "loops" },
	{ SCMP_SYS(eventfd2), "messages, queues" },
	{ SCMP_SYS(timerfd_create), "retries" },
	{ SCMP_SYS(timerfd_settime), "retries, clocks" },
	{ SCMP_SYS(timerfd_gettime), "clocks" },
	{ SCMP_SYS(inotify_add_watch), "ptys that somebody opens" },
	{ SCMP_SYS(inotify_rm_watch), "the same" },
	{ SCMP_SYS(futex), "locks" },
	{ SCMP_SYS(clock_gettime), "where the vDSO cannot" },
	{ SCMP_SYS(clock_getres), "where the vDSO cannot" },
	{ SCMP_SYS(gettimeofday), "where the vDSO cannot" },
	{ SCMP_SYS(clock_nanosleep), "short waits" },
	{ SCMP_SYS(nanosleep), "short waits" },
	{ SCMP_SYS(restart_syscall), "waits that a signal interrupted" },
	{ SCMP_SYS(sched_yield), "short waits" },
	/* sockets that are open */
	{ SCMP_SYS(accept4), "control and console clients" },
	{ SCMP_SYS(accept), "the same" },
	{ SCMP_SYS(recvmsg), "clients, vhost-user, starter" },
	{ SCMP_SYS(recvfrom), "clients" },
	{ SCMP_SYS(sendmsg), "clients, vhost-user, starter" },
	{ SCMP_SYS(sendto), "clients" },
	{ SCMP_SYS(shutdown), "clients" },
	{ SCMP_SYS(getsockopt), "who a client is" },
	{ SCMP_SYS(getsockname), "GLib's sockets" },
	/* ourselves */
	{ SCMP_SYS(rt_sigaction), "vCPU kicks" },
	{ SCMP_SYS(rt_sigprocmask), "threads" },
	{ SCMP_SYS(rt_sigreturn), "vCPU kicks" },
	{ SCMP_SYS(sigaltstack), "ends of threads" },
	{ SCMP_SYS(getpid), "vCPU kicks" },
	{ SCMP_SYS(gettid), "vCPU kicks" },
	{ SCMP_SYS(getuid), "whose client" },
	{ SCMP_SYS(geteuid), "whose share" },
	{ SCMP_SYS(sched_getaffinity), "sizes of pools" },
	{ SCMP_SYS(getcpu), "where the vDSO cannot" },
	{ SCMP_SYS(membarrier), "io_uring, the C library" },
	{ SCMP_SYS(getrandom), "virtio-rng" },
	{ SCMP_SYS(getrusage), "figures of the control socket" },
	{ SCMP_SYS(sysinfo), "how much memory there is" },
	{ SCMP_SYS(uname), "C library" },
	{ SCMP_SYS(wait4), "the starter, at the end" },
	{ SCMP_SYS(waitid), "the starter, at the end" },
	{ SCMP_SYS(rseq), "ends of threads" },
	{ SCMP_SYS(set_robust_list), "ends of threads" },
	{ SCMP_SYS(exit), "ends of threads" },
	{ SCMP_SYS(exit_group), "the end" },
};

static const struct row for_io_uring[] = {
	{ SCMP_SYS(io_uring_setup), "a ring at each start of a disk's driver" },
	{ SCMP_SYS(io_uring_enter), "requests" },
	{ SCMP_SYS(io_uring_register), "the image's descriptor" },
};

/* An attempt at one of these is no accident. */
static const struct row never[] = {
	{ SCMP_SYS(execve), "runs programs" },
	{ SCMP_SYS(execveat), "runs programs" },
	{ SCMP_SYS(ptrace), "takes over processes" },
	{ SCMP_SYS(process_vm_readv), "reads processes" },
	{ SCMP_SYS(process_vm_writev), "takes over processes" },
	{ SCMP_SYS(kexec_load), "takes over the host" },
	{ SCMP_SYS(init_module), "takes over the host" },
	{ SCMP_SYS(finit_module), "takes over the host" },
	{ SCMP_SYS(bpf), "takes over the host" },
	{ SCMP_SYS(userfaultfd), "stops the kernel in its tracks" },
	{ SCMP_SYS(keyctl), "reads keys" },
	{ SCMP_SYS(add_key), "stores keys" },
	{ SCMP_SYS(mount), "changes what paths mean" },
	{ SCMP_SYS(pivot_root), "changes what paths mean" },
	{ SCMP_SYS(unshare), "gets privileges in a namespace" },
	{ SCMP_SYS(setns), "gets privileges in a namespace" },
};

static int add_rows(scmp_filter_ctx filter, uint32_t action, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int ret = seccomp_rule_add(filter, action, rows[i].call, 0);

		if (ret)
			return ret;
	}
	return 0;
}

/* Argument @arg of @call, masked by @mask, is @value. */
static int allow_if(scmp_filter_ctx filter, int call, unsigned int arg, uint64_t mask,
		    uint64_t value)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
				SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, mask, value));
}

/* ioctl numbers are 32 bits wide and may come sign-extended. */
static int allow_ioctl(scmp_filter_ctx filter, uint32_t mask, uint32_t value)
{
	return allow_if(filter, SCMP_SYS(ioctl), 1, mask, value);
}

static int add_ioctls(scmp_filter_ctx filter, const struct sandbox_needs *needs)
{
	static const uint32_t terminal[] = { TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGWINSZ };
	const uint32_t kind = _IOC_TYPEMASK << _IOC_TYPESHIFT;
	const uint32_t all = UINT32_MAX;
	int ret;

	ret = allow_ioctl(filter, kind, KVMIO << _IOC_TYPESHIFT);
	if (!ret)
		ret = allow_ioctl(filter, all, FIONREAD);
	if (!ret)
		ret = allow_ioctl(filter, all, FIONBIO);
	for (size_t i = 0; !ret && needs->terminal && i < sizeof(terminal) / sizeof(*terminal); i++)
		ret = allow_ioctl(filter, all, terminal[i]);
	/* <linux/fs.h>: discard, zeroes and size of block devices. */
	if (!ret && needs->io_uring)
		ret = allow_ioctl(filter, kind, 0x12u << _IOC_TYPESHIFT);
	return ret;
}

/* Calls that are fine with some arguments only. */
static int add_conditions(scmp_filter_ctx filter, const struct sandbox_needs *needs)
{
	const uint64_t change = O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY);
	int ret;

	ret = allow_if(filter, SCMP_SYS(mmap), 2, PROT_EXEC, 0);
	if (!ret)
		ret = allow_if(filter, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
	if (!ret)
		ret = allow_if(filter, SCMP_SYS(tgkill), 0, UINT64_MAX, (uint64_t)getpid());
	if (!ret)
		ret = allow_if(filter, SCMP_SYS(kill), 0, UINT64_MAX, (uint64_t)getpid());
	/* Asking for limits, not setting them. */
	if (!ret)
		ret = allow_if(filter, SCMP_SYS(prlimit64), 2, UINT64_MAX, 0);
	if (!ret)
		ret = allow_if(filter, SCMP_SYS(socketpair), 0, UINT64_MAX, AF_UNIX);
	if (!ret && needs->open_files)
		ret = allow_if(filter, SCMP_SYS(openat), 2, change | O_PATH, O_RDONLY);
	if (!ret && needs->open_folders)
		ret = allow_if(filter, SCMP_SYS(openat), 2, change | O_PATH | O_DIRECTORY,
			       O_PATH | O_DIRECTORY);
	if (!ret && needs->connect)
		ret = allow_if(filter, SCMP_SYS(socket), 0, UINT64_MAX, AF_UNIX);
	if (!ret && needs->connect)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0);
	return ret ? ret : add_ioctls(filter, needs);
}

static int build(scmp_filter_ctx filter, const struct sandbox_needs *needs)
{
	int ret;

	/* Threads that hold still get the filter, too. */
	ret = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!ret)
		ret = add_rows(filter, SCMP_ACT_ALLOW, always, sizeof(always) / sizeof(always[0]));
	if (!ret && needs->io_uring)
		ret = add_rows(filter, SCMP_ACT_ALLOW, for_io_uring,
			       sizeof(for_io_uring) / sizeof(for_io_uring[0]));
	if (!ret)
		ret = add_rows(filter, SCMP_ACT_KILL_PROCESS, never,
			       sizeof(never) / sizeof(never[0]));
	return ret ? ret : add_conditions(filter, needs);
}

int sandbox_enter(const struct sandbox_needs *needs)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int ret;

	if (!filter)
		return -ENOMEM;
	ret = build(filter, needs);
	/* A binary search instead of a walk: a vCPU's exits must not pay for the length. */
	if (!ret)
		(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!ret)
		ret = seccomp_load(filter); /* sets no_new_privs first */
	seccomp_release(filter);
	return ret;
}

static bool is_stdio(const char *backend)
{
	return backend && !strcmp(backend, "stdio");
}

struct sandbox_needs sandbox_needs_of(const struct vm_config *config)
{
	struct sandbox_needs needs = {
		.open_files = !config->stop_on_reset,
		.open_folders = config->n_shares > 0 || config->shares_device,
		.connect = config->n_fs > 0,
		.io_uring = config->n_disks > 0,
		.terminal = is_stdio(config->serial),
	};

	for (size_t i = 0; i < config->n_ports; i++)
		needs.terminal |= is_stdio(config->ports[i].backend) ||
				  !strncmp(config->ports[i].backend, "fd:", 3);
	return needs;
}
