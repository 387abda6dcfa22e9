// SPDX-License-Identifier: GPL-2.0-or-later
/* The system calls that the server may make; any other ends it. */
#include "shared-fs/server/sandbox.h"

#include <errno.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/mman.h>

/* The hot ones first: libseccomp's binary tree makes the order matter little, older ones walk. */
static const int allowed[] = {
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(preadv),
	SCMP_SYS(pwritev),
	SCMP_SYS(pwritev2), /* RWF_APPEND, RWF_DSYNC */
	SCMP_SYS(statx),
	SCMP_SYS(openat),
	SCMP_SYS(close),
	SCMP_SYS(close_range), /* after a death */
	SCMP_SYS(write), /* eventfds, stderr */
	SCMP_SYS(futex),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fstat),
	SCMP_SYS(lseek),
	SCMP_SYS(getdents64),
	SCMP_SYS(unlinkat),
	SCMP_SYS(mkdirat),
	SCMP_SYS(mknodat),
	SCMP_SYS(symlinkat),
	SCMP_SYS(linkat),
	SCMP_SYS(umask), /* of the thread, which has one of its own: unshare(2) below */
	SCMP_SYS(renameat), /* what the C library makes of renameat2(2) without flags */
	SCMP_SYS(renameat2),
	SCMP_SYS(readlinkat),
	SCMP_SYS(name_to_handle_at), /* whether a file is the same still */
	SCMP_SYS(fchmodat),
	SCMP_SYS(fchownat),
	SCMP_SYS(utimensat),
	SCMP_SYS(truncate),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(copy_file_range),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(syncfs),
	SCMP_SYS(faccessat2),
	SCMP_SYS(fstatfs),
	SCMP_SYS(getxattr),
	SCMP_SYS(setxattr),
	SCMP_SYS(listxattr),
	SCMP_SYS(removexattr),
	SCMP_SYS(flock),
	SCMP_SYS(fcntl), /* F_DUPFD_CLOEXEC, F_OFD_SETLK and F_OFD_GETLK */
	SCMP_SYS(dup3), /* a file by a newer name, under the same number */
	SCMP_SYS(dup), /* FLUSH: close(2) of a copy */
	SCMP_SYS(
		setresuid), /* files are made as their user; CAP_SETUID is gone where that is off */
	SCMP_SYS(setresgid),
	SCMP_SYS(capget), /* CAP_FSETID is on for chmod alone */
	SCMP_SYS(capset),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(inotify_init1), /* folders are watched for the guest */
	SCMP_SYS(inotify_add_watch),
	SCMP_SYS(inotify_rm_watch),
	SCMP_SYS(accept4),
	SCMP_SYS(setsockopt), /* SO_RCVTIMEO of a new front end */
	SCMP_SYS(shutdown),
	SCMP_SYS(read), /* eventfds */
	SCMP_SYS(eventfd2),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),

	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(prlimit64), /* pthread_create(3) asks for the stack's limit */
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(clock_gettime), /* where the vDSO cannot read the clock */
	SCMP_SYS(gettimeofday),
	SCMP_SYS(clock_nanosleep), /* waits for locks */
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(tgkill), /* abort(3) */
	SCMP_SYS(getrandom), /* malloc(3) of newer C libraries */
	SCMP_SYS(sysinfo), /* qsort(3) and malloc_trim(3) */
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* As op_ioctl() has them. Linux looks at the low half of the number alone. */
static const uint32_t ioctls[] = {
	(uint32_t)FS_IOC_GETFLAGS,
	(uint32_t)FS_IOC_SETFLAGS,
	(uint32_t)FS_IOC_FSGETXATTR,
	(uint32_t)FS_IOC_FSSETXATTR,
};

static int allow_ioctls(scmp_filter_ctx filter)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < sizeof(ioctls) / sizeof(ioctls[0]); i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1_64(SCMP_CMP_MASKED_EQ, UINT32_MAX, ioctls[i]));
	return ret;
}

/* The guest's memory, stacks and their guard pages, the heap: none of it is code. */
static int allow_memory(scmp_filter_ctx filter)
{
	int ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				   SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	return ret ? ret
		   : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				      SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

int seccomp_install(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int ret = filter ? 0 : -ENOMEM;

	for (size_t i = 0; !ret && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	/* The C library falls back to clone(2), whose flags a filter can see. */
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(unshare), 1,
				       SCMP_A0(SCMP_CMP_EQ, CLONE_FS));
	/* Sockets are given, never made; files' flags are set, terminals are not talked to. */
	if (!ret)
		ret = allow_memory(filter);
	if (!ret)
		ret = allow_ioctls(filter);
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_EQ, 0x5401)); /* TCGETS of stdio */
	if (!ret)
		seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE,
				 2); /* a tree: fewer steps a call */
	if (!ret)
		ret = seccomp_load(filter);
	seccomp_release(filter);
	return ret;
}
