// SPDX-License-Identifier: GPL-2.0-or-later
// What is taken from the process that reads or writes an archive: all but files.
#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "guest-daemon/files/files.h"

#define MEMORY_MAX (512ul << 20)

static const struct {
	int call;
	const char *why;
} denied[] = {
	{ SCMP_SYS(execve), "runs programs" },
	{ SCMP_SYS(execveat), "runs programs" },
	{ SCMP_SYS(fork), "makes processes" },
	{ SCMP_SYS(vfork), "makes processes" },
	{ SCMP_SYS(clone), "makes processes" },
	{ SCMP_SYS(socket), "talks to others" },
	{ SCMP_SYS(socketpair), "talks to others" },
	{ SCMP_SYS(connect), "talks to others" },
	{ SCMP_SYS(kill), "ends others" },
	{ SCMP_SYS(tgkill), "ends others" },
	{ SCMP_SYS(ptrace), "takes over processes" },
	{ SCMP_SYS(process_vm_readv), "reads processes" },
	{ SCMP_SYS(process_vm_writev), "takes over processes" },
	{ SCMP_SYS(setuid), "becomes somebody else" },
	{ SCMP_SYS(setresuid), "becomes somebody else" },
	{ SCMP_SYS(unshare), "makes namespaces" },
	{ SCMP_SYS(setns), "enters namespaces" },
	{ SCMP_SYS(mount), "changes the tree" },
	{ SCMP_SYS(umount2), "changes the tree" },
	{ SCMP_SYS(pivot_root), "changes the tree" },
	{ SCMP_SYS(chroot), "changes the tree" },
	{ SCMP_SYS(mknod), "makes devices" },
	{ SCMP_SYS(keyctl), "reads keys" },
	{ SCMP_SYS(add_key), "reads keys" },
	{ SCMP_SYS(request_key), "reads keys" },
	{ SCMP_SYS(bpf), "takes over the kernel" },
	{ SCMP_SYS(init_module), "takes over the kernel" },
	{ SCMP_SYS(finit_module), "takes over the kernel" },
	{ SCMP_SYS(kexec_load), "takes over the kernel" },
	{ SCMP_SYS(reboot), "ends the system" },
	{ SCMP_SYS(userfaultfd), "stops the kernel in its tracks" },
	{ SCMP_SYS(perf_event_open), "reads the kernel" },
	{ SCMP_SYS(io_uring_setup), "does all of this by another way" },
	{ SCMP_SYS(ioctl), "talks to devices" },
};

int jail_enter(void)
{
	const struct rlimit memory = { MEMORY_MAX, MEMORY_MAX };
	scmp_filter_ctx filter;
	int ret = 0;

	(void)setrlimit(RLIMIT_AS, &memory);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	filter = seccomp_init(SCMP_ACT_ALLOW);
	if (!filter)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]) && !ret; i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), denied[i].call, 0);
	if (!ret)
		ret = seccomp_load(filter);
	seccomp_release(filter);
	return ret;
}
