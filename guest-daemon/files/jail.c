// SPDX-License-Identifier: GPL-2.0-or-later
// What is taken from the process that reads or writes an archive: all but files.
#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "guest-daemon/files/files.h"

#define MEMORY_MAX (512ul << 20)

/* By name: an older library lacks the numbers of newer calls, and cannot filter them. */
static const struct {
	const char *call, *why;
} denied[] = {
	{ "execve", "runs programs" },
	{ "execveat", "runs programs" },
	{ "fork", "makes processes" },
	{ "vfork", "makes processes" },
	{ "clone", "makes processes" },
	{ "clone3", "makes processes" },
	{ "socket", "talks to others" },
	{ "socketpair", "talks to others" },
	{ "connect", "talks to others" },
	{ "kill", "ends others" },
	{ "tkill", "ends others" },
	{ "tgkill", "ends others" },
	{ "rt_sigqueueinfo", "ends others" },
	{ "rt_tgsigqueueinfo", "ends others" },
	{ "pidfd_send_signal", "ends others" },
	{ "pidfd_getfd", "takes over processes" },
	{ "ptrace", "takes over processes" },
	{ "process_vm_readv", "reads processes" },
	{ "process_vm_writev", "takes over processes" },
	{ "setuid", "becomes somebody else" },
	{ "setreuid", "becomes somebody else" },
	{ "setresuid", "becomes somebody else" },
	{ "setfsuid", "becomes somebody else" },
	{ "setgid", "becomes somebody else" },
	{ "setregid", "becomes somebody else" },
	{ "setresgid", "becomes somebody else" },
	{ "setfsgid", "becomes somebody else" },
	{ "setgroups", "becomes somebody else" },
	{ "unshare", "makes namespaces" },
	{ "setns", "enters namespaces" },
	{ "mount", "changes the tree" },
	{ "umount2", "changes the tree" },
	{ "move_mount", "changes the tree" },
	{ "mount_setattr", "changes the tree" },
	{ "fsopen", "changes the tree" },
	{ "fsmount", "changes the tree" },
	{ "open_tree", "changes the tree" },
	{ "pivot_root", "changes the tree" },
	{ "chroot", "changes the tree" },
	{ "mknod", "makes devices" },
	{ "keyctl", "reads keys" },
	{ "add_key", "reads keys" },
	{ "request_key", "reads keys" },
	{ "bpf", "takes over the kernel" },
	{ "init_module", "takes over the kernel" },
	{ "finit_module", "takes over the kernel" },
	{ "delete_module", "takes over the kernel" },
	{ "kexec_load", "takes over the kernel" },
	{ "kexec_file_load", "takes over the kernel" },
	{ "iopl", "takes over the machine" },
	{ "ioperm", "takes over the machine" },
	{ "open_by_handle_at", "opens what no path leads to" },
	{ "settimeofday", "sets the clock" },
	{ "clock_settime", "sets the clock" },
	{ "adjtimex", "sets the clock" },
	{ "sethostname", "changes the system" },
	{ "swapon", "changes the system" },
	{ "swapoff", "changes the system" },
	{ "quotactl", "changes the system" },
	{ "acct", "changes the system" },
	{ "reboot", "ends the system" },
	{ "userfaultfd", "stops the kernel in its tracks" },
	{ "perf_event_open", "reads the kernel" },
	{ "io_uring_setup", "does all of this by another way" },
	{ "ioctl", "talks to devices" },
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
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]) && !ret; i++) {
		int number = seccomp_syscall_resolve_name(denied[i].call);

		if (number != __NR_SCMP_ERROR)
			ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
	}
	if (!ret)
		ret = seccomp_load(filter);
	seccomp_release(filter);
	return ret;
}
