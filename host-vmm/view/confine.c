// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a window may still ask of the kernel, once it listens to a monitor.
 *
 * A guest that has taken over its monitor can say what it likes on display.sock. A mistake here
 * must not be worth the user's files to it: what is open (the monitor, X, the standard streams, the
 * pipe to the process that shoots) is all there is. X itself trusts its clients much; that is X's.
 *
 * What is not listed gives EPERM, as a library may call it for its comfort.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host-vmm/view/view.h"
#include "protocol/lib/seccomp_filter.h"

static const struct seccomp_row allowed[] = {
	{ SYS_poll, "both sides" },
	{ SYS_ppoll, "the same, by other C libraries" },
	{ SYS_recvmsg, "both sides" },
	{ SYS_recvfrom, "both sides" },
	{ SYS_sendmsg, "X, with descriptors of pictures" },
	{ SYS_sendto, "the monitor" },
	{ SYS_writev, "X" },
	{ SYS_read, "X" },
	{ SYS_write, "words for the user, and the pipe to who shoots" },
	{ SYS_close, "pictures that are over" },
	{ SYS_shutdown, "X, at the end" },
	{ SYS_fcntl, "copies of descriptors, and seals" },
	{ SYS_fstat, "sizes of pictures" },
	{ SYS_newfstatat, "the same, by newer C libraries" },
	{ SYS_munmap, "pictures that are over, malloc" },
	{ SYS_mremap, "malloc" },
	{ SYS_madvise, "malloc" },
	{ SYS_brk, "malloc" },
	{ SYS_futex, "the X library's locks" },
	{ SYS_clock_gettime, "where the vDSO cannot" },
	{ SYS_gettimeofday, "where the vDSO cannot" },
	{ SYS_getpid, "windows' properties" },
	{ SYS_uname, "the machine's name" },
	{ SYS_gettid, "abort(3)" },
	{ SYS_getrandom, "malloc of newer C libraries" },
	{ SYS_rt_sigaction, "abort(3)" },
	{ SYS_rt_sigprocmask, "abort(3)" },
	{ SYS_rt_sigreturn, "signals" },
	{ SYS_restart_syscall, "waits that a stop interrupted" },
	{ SYS_exit, "the end" },
	{ SYS_exit_group, "the end" },
};

int view_confine(void)
{
	struct seccomp_filter filter;

	seccomp_filter_begin(&filter);
	seccomp_filter_add_if(&filter, SYS_mmap, 2, PROT_EXEC, 0);
	seccomp_filter_add_if(&filter, SYS_mprotect, 2, PROT_EXEC, 0);
	seccomp_filter_add_if(&filter, SYS_tgkill, 0, UINT64_MAX, (uint64_t)getpid());
	seccomp_filter_add_rows(&filter, SECCOMP_ALLOW, allowed,
				sizeof(allowed) / sizeof(allowed[0]));
	seccomp_filter_add_attacks(&filter);
	return seccomp_filter_enter(&filter, EPERM);
}
