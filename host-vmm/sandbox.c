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
 * Capabilities are a thread's own. Each thread gives away its own when it begins, which may be
 * behind the main thread's sandbox_enter(): so capset(2), which can only take away, is allowed.
 * Helpers that were forked before keep theirs, lodge-fsd's starter above all.
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
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host-vmm/conf/vmconf.h"
#include "protocol/lib/capabilities.h"
#include "protocol/lib/seccomp_filter.h"

static const struct seccomp_row always[] = {
	/* memory */
	{ SYS_brk, "malloc" },
	{ SYS_mremap, "malloc" },
	{ SYS_munmap, "malloc, ends of threads" },
	{ SYS_madvise, "malloc, the balloon, ends of threads" },
	/* descriptors that are open */
	{ SYS_close, "clients that go" },
	{ SYS_read, "eventfds, pipes, terminals" },
	{ SYS_readv, "character devices" },
	{ SYS_pread64, "boot images, records of requests in flight" },
	{ SYS_preadv, "disks without io_uring" },
	{ SYS_preadv2, "disks without io_uring" },
	{ SYS_write, "eventfds, log lines, terminals" },
	{ SYS_writev, "character devices" },
	{ SYS_pwrite64, "clearing of memory" },
	{ SYS_pwritev, "disks without io_uring" },
	{ SYS_pwritev2, "disks without io_uring" },
	{ SYS_lseek, "sizes" },
	{ SYS_fallocate, "memory and discards given back" },
	{ SYS_ftruncate, "bounded log files" },
	{ SYS_fsync, "disks" },
	{ SYS_fdatasync, "disks" },
	{ SYS_sync_file_range, "disks" },
	{ SYS_copy_file_range, "bounded log files" },
	{ SYS_fstat, "sizes" },
	{ SYS_newfstatat, "fstat() of newer C libraries" },
	{ SYS_statx, "whether a share that comes later is a folder" },
	{ SYS_fcntl, "non-blocking, seals" },
	{ SYS_flock, "disks' locks" },
	{ SYS_faccessat2, "whether a share that comes later can be read" },
	{ SYS_faccessat, "the same, older C libraries" },
	{ SYS_unlink, "sockets of ours, at the end" },
	/* waiting */
	{ SYS_poll, "main loop, vhost-user" },
	{ SYS_ppoll, "main loops" },
	{ SYS_epoll_create1, "loops" },
	{ SYS_epoll_ctl, "loops" },
	{ SYS_epoll_wait, "loops" },
	{ SYS_epoll_pwait, "loops" },
	{ SYS_epoll_pwait2, "loops" },
	{ SYS_eventfd2, "messages, queues" },
	{ SYS_timerfd_create, "retries" },
	{ SYS_timerfd_settime, "retries, clocks" },
	{ SYS_timerfd_gettime, "clocks" },
	{ SYS_inotify_add_watch, "ptys that somebody opens" },
	{ SYS_inotify_rm_watch, "the same" },
	{ SYS_futex, "locks" },
	{ SYS_clock_gettime, "where the vDSO cannot" },
	{ SYS_adjtimex,
	  "how well the host's clock is kept; setting it takes CAP_SYS_TIME, which is gone" },
	{ SYS_clock_getres, "where the vDSO cannot" },
	{ SYS_gettimeofday, "where the vDSO cannot" },
	{ SYS_clock_nanosleep, "short waits" },
	{ SYS_nanosleep, "short waits" },
	{ SYS_restart_syscall, "waits that a signal interrupted" },
	{ SYS_sched_yield, "short waits" },
	/* sockets that are open */
	{ SYS_accept4, "control and console clients" },
	{ SYS_accept, "the same" },
	{ SYS_recvmsg, "clients, vhost-user, starter" },
	{ SYS_recvfrom, "clients" },
	{ SYS_sendmsg, "clients, vhost-user, starter" },
	{ SYS_sendto, "clients" },
	{ SYS_shutdown, "clients" },
	{ SYS_getsockopt, "who a client is" },
	{ SYS_getsockname, "GLib's sockets" },
	/* ourselves */
	{ SYS_rt_sigaction, "vCPU kicks" },
	{ SYS_rt_sigprocmask, "threads" },
	{ SYS_rt_sigreturn, "vCPU kicks" },
	{ SYS_sigaltstack, "ends of threads" },
	{ SYS_capget, "threads that begin, to give away what they have" },
	{ SYS_capset, "the same" },
	{ SYS_getpid, "vCPU kicks" },
	{ SYS_gettid, "vCPU kicks" },
	{ SYS_getuid, "whose client" },
	{ SYS_geteuid, "whose share" },
	{ SYS_sched_getaffinity, "sizes of pools" },
	{ SYS_getcpu, "where the vDSO cannot" },
	{ SYS_membarrier, "io_uring, the C library" },
	{ SYS_getrandom, "virtio-rng" },
	{ SYS_getrusage, "figures of the control socket" },
	{ SYS_sysinfo, "how much memory there is" },
	{ SYS_uname, "C library" },
	{ SYS_wait4, "the starter, at the end" },
	{ SYS_waitid, "the starter, at the end" },
	{ SYS_rseq, "ends of threads" },
	{ SYS_set_robust_list, "ends of threads" },
	{ SYS_exit, "ends of threads" },
	{ SYS_exit_group, "the end" },
};

static const struct seccomp_row for_io_uring[] = {
	{ SYS_io_uring_setup, "a ring at each start of a disk's driver" },
	{ SYS_io_uring_enter, "requests" },
	{ SYS_io_uring_register, "the image's descriptor" },
};

/* ioctl numbers are 32 bits wide and may come sign-extended. */
static void allow_ioctl(struct seccomp_filter *filter, uint32_t mask, uint32_t value)
{
	seccomp_filter_add_if(filter, SYS_ioctl, 1, mask, value);
}

static void add_ioctls(struct seccomp_filter *filter, const struct sandbox_needs *needs)
{
	static const uint32_t terminal[] = { TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGWINSZ };
	const uint32_t kind = _IOC_TYPEMASK << _IOC_TYPESHIFT;
	const uint32_t all = UINT32_MAX;

	allow_ioctl(filter, kind, KVMIO << _IOC_TYPESHIFT);
	allow_ioctl(filter, all, FIONREAD);
	allow_ioctl(filter, all, FIONBIO);
	for (size_t i = 0; needs->terminal && i < sizeof(terminal) / sizeof(*terminal); i++)
		allow_ioctl(filter, all, terminal[i]);
	/* <linux/fs.h>: discard, zeroes and size of block devices. */
	if (needs->io_uring)
		allow_ioctl(filter, kind, 0x12u << _IOC_TYPESHIFT);
}

/* Calls that are fine with some arguments only. */
static void add_conditions(struct seccomp_filter *filter, const struct sandbox_needs *needs)
{
	const uint64_t change = O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY);
	const uint64_t self = (uint64_t)getpid(), all = UINT64_MAX;

	seccomp_filter_add_if(filter, SYS_mmap, 2, PROT_EXEC, 0);
	seccomp_filter_add_if(filter, SYS_mprotect, 2, PROT_EXEC, 0);
	seccomp_filter_add_if(filter, SYS_tgkill, 0, all, self);
	seccomp_filter_add_if(filter, SYS_kill, 0, all, self);
	/* Threads that were made before name themselves when they first run. */
	seccomp_filter_add_if(filter, SYS_prctl, 0, all, PR_SET_NAME);
	/* Asking for limits, not setting them. */
	seccomp_filter_add_if(filter, SYS_prlimit64, 2, all, 0);
	seccomp_filter_add_if(filter, SYS_socketpair, 0, all, AF_UNIX);
	if (needs->display)
		seccomp_filter_add(filter, SYS_memfd_create, SECCOMP_ALLOW);
	if (needs->open_files)
		seccomp_filter_add_if(filter, SYS_openat, 2, change | O_PATH, O_RDONLY);
	if (needs->open_folders)
		seccomp_filter_add_if(filter, SYS_openat, 2, change | O_PATH | O_DIRECTORY,
				      O_PATH | O_DIRECTORY);
	if (needs->connect) {
		seccomp_filter_add_if(filter, SYS_socket, 0, all, AF_UNIX);
		seccomp_filter_add(filter, SYS_connect, SECCOMP_ALLOW);
	}
}

int sandbox_enter(const struct sandbox_needs *needs)
{
	struct seccomp_filter filter;

	capabilities_keep(SANDBOX_CAPABILITIES);

	seccomp_filter_begin(&filter);
	/* First: they are what a vCPU's exits pay for. */
	add_ioctls(&filter, needs);
	/* futimens(3), without a path: files that the guest stored into through its window. */
	seccomp_filter_add_if(&filter, SYS_utimensat, 1, UINT64_MAX, 0);
	if (needs->io_uring)
		seccomp_filter_add_rows(&filter, SECCOMP_ALLOW, for_io_uring,
					sizeof(for_io_uring) / sizeof(for_io_uring[0]));
	seccomp_filter_add_rows(&filter, SECCOMP_ALLOW, always, sizeof(always) / sizeof(always[0]));
	add_conditions(&filter, needs);
	seccomp_filter_add_attacks(&filter);
	return seccomp_filter_enter(&filter, EPERM);
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
		.display = config->heads > 0,
		.terminal = is_stdio(config->serial),
	};

	for (size_t i = 0; i < config->n_ports; i++)
		needs.terminal |= is_stdio(config->ports[i].backend) ||
				  !strncmp(config->ports[i].backend, "fd:", 3);
	return needs;
}
