// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The jail.
 *
 * Theory of operation. A server that was taken over by its guest should find nothing: no path but
 * the shares', no network, no other process, no right that file serving does not need.
 *
 * namespace: new mount, PID, network, IPC and UTS namespaces (for an ordinary user inside of a new
 *	user namespace), all but the PID one shared with the keeper (keeper.h). The root becomes an
 *empty, read-only tmpfs with one bind mount for each share, nodev and nosuid, and read-only where
 *the share is. landlock: for hosts that keep user namespaces from users: only what lies below the
 *shares can be opened or changed (Linux 5.13). Shares cannot be added later. none: for tests.
 *
 * In all of them but "none": no_new_privs, the seccomp filter, and of root's capabilities only
 *those in needed_caps.
 */
#include "shared-fs/server/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>

#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

static const unsigned int needed_caps[] = {
	CAP_CHOWN,	     CAP_DAC_OVERRIDE, /* access is the guest's kernel's to decide */
	CAP_DAC_READ_SEARCH, CAP_FOWNER,       CAP_FSETID,
	CAP_MKNOD,	     CAP_SETFCAP, /* security.capability is an attribute like others */
	CAP_SETGID,	     CAP_SETUID,
};

static int write_file(const char *path, const char *text)
{
	autofd fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fd_write_all(fd, text, strlen(text));
}

/* Maps our own ids to themselves: all that an ordinary user may map. */
static int map_ids(uid_t uid, gid_t gid)
{
	char text[64];
	int ret;

	ret = write_file("/proc/self/setgroups", "deny");
	snprintf(text, sizeof(text), "%u %u 1\n", uid, uid);
	if (!ret)
		ret = write_file("/proc/self/uid_map", text);
	snprintf(text, sizeof(text), "%u %u 1\n", gid, gid);
	return ret ? ret : write_file("/proc/self/gid_map", text);
}

static int new_namespaces(struct sandbox *sandbox)
{
	int flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (!uid && !unshare(flags))
		return 0;
	if (unshare(flags | CLONE_NEWUSER))
		return -errno;
	sandbox->user_namespace = true;
	return map_ids(uid, gid);
}

/* One share's tree of mounts, apart from the host's: nosuid, nodev, and read-only if it is so. */
static int clone_share(int share_fd, bool read_only)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					       (read_only ? MOUNT_ATTR_RDONLY : 0) };
	autofd tree =
		(int)syscall(SYS_open_tree, share_fd, "",
			     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

	if (tree < 0)
		return -errno;
	/* Before Linux 5.12: the server's own checks must do, as with shares that come later. */
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)))
		log_debug("mount_setattr: %s", strerror(errno));
	return fd_steal(&tree);
}

/* Moves the shares to folders of a new tmpfs, which is to become the root. */
static int build_root(const struct share_option *shares, int *share_fds, size_t n_shares)
{
	/* All before the tmpfs is there: a share of "/" would show it. Mounts that the host makes
	 * in a share later are seen. */
	for (size_t i = 0; i < n_shares; i++) {
		int tree = clone_share(share_fds[i], shares[i].read_only);

		if (tree < 0)
			return tree;
		close(share_fds[i]);
		share_fds[i] = tree;
	}
	if (mount("lodge-fsd", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "mode=0755,size=1m"))
		return -errno;
	for (size_t i = 0; i < n_shares; i++) {
		char to[32];

		snprintf(to, sizeof(to), "/proc/%zu", i);
		if (mkdir(to, 0755) || syscall(SYS_move_mount, share_fds[i], "", AT_FDCWD, to,
					       MOVE_MOUNT_F_EMPTY_PATH))
			return -errno;
	}
	return 0;
}

static int enter_root(void)
{
	if (chdir("/proc") || syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) ||
	    chdir("/"))
		return -errno;
	if (mount(NULL, "/", NULL,
		  MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return -errno;
	return 0;
}

/* Tries in a child what cannot be undone, so that another mode may be taken. */
static bool namespaces_work(void)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		return false;
	if (!child) {
		struct sandbox probe = { .mode = SANDBOX_NAMESPACE };

		/* The keeper makes the PID namespace, one for each server. */
		_exit(new_namespaces(&probe) || unshare(CLONE_NEWPID) ||
		      mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL));
	}
	return waitpid(child, &status, 0) == child && WIFEXITED(status) && !WEXITSTATUS(status);
}

static int landlock_version(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

int sandbox_enter(struct sandbox *sandbox)
{
	int ret;

	if (!geteuid() && setgroups(0, NULL) && errno != EPERM)
		return -errno;
	if (sandbox->mode == SANDBOX_NAMESPACE ||
	    (sandbox->mode == SANDBOX_BEST && namespaces_work())) {
		ret = new_namespaces(sandbox);
		if (!ret)
			ret = mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) ? -errno : 0;
		if (ret)
			log_error("cannot make namespaces: %s; try --sandbox landlock",
				  strerror(-ret));
		sandbox->mode = SANDBOX_NAMESPACE;
		return ret;
	}
	if (sandbox->mode == SANDBOX_NONE)
		return 0;
	if (landlock_version() >= 2) { /* 2: REFER, without which nothing can be renamed */
		sandbox->mode = SANDBOX_LANDLOCK;
		return 0;
	}
	if (sandbox->mode == SANDBOX_LANDLOCK) {
		log_error(
			"this kernel has no landlock of version 2 (Linux 5.19): use --sandbox namespace");
		return -EOPNOTSUPP;
	}
	log_warn(
		"neither user namespaces nor landlock can be used here: only the system call filter "
		"keeps the server in");
	return 0;
}

static int landlock_shares(const int *share_fds, const struct share_option *shares, size_t n_shares)
{
	static const uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	static const uint64_t all = (LANDLOCK_ACCESS_FS_REFER << 1) - 1;
	struct landlock_ruleset_attr attr = { .handled_access_fs = all };
	autofd ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	if (ruleset < 0)
		return -errno;
	for (size_t i = 0; i < n_shares; i++) {
		struct landlock_path_beneath_attr rule = {
			.allowed_access = shares[i].read_only
						  ? reading
						  : all & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE,
			.parent_fd = share_fds[i],
		};

		if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
			return -errno;
	}
	return syscall(SYS_landlock_restrict_self, ruleset, 0) ? -errno : 0;
}

static int limit_capabilities(struct sandbox *sandbox)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	struct __user_cap_data_struct have[2];
	bool root = !geteuid() && !sandbox->user_namespace;

	if (syscall(SYS_capget, &head, have))
		return -errno;
	for (size_t i = 0; root && i < sizeof(needed_caps) / sizeof(needed_caps[0]); i++)
		data[0].permitted |= have[0].permitted & 1u << needed_caps[i];
	data[0].effective = data[0].permitted & ~(1u << CAP_FSETID); /* see caller.c */
	if (root) {
		/* Changing ids for a file leaves the capabilities as they are; a program that is
		 * run as root gets none. EPERM: less than root to begin with. */
		if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_NOROOT) &&
		    errno != EPERM)
			return -errno;
		sandbox->can_switch_ids = data[0].permitted >> CAP_SETUID & 1 &&
					  data[0].permitted >> CAP_SETGID & 1;
	}
	for (unsigned int cap = 0; cap <= CAP_LAST_CAP; cap++) {
		if (cap >= 32 || !(data[0].permitted >> cap & 1))
			prctl(PR_CAPBSET_DROP, cap, 0, 0,
			      0); /* fails without CAP_SETPCAP: none then */
	}
	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

int sandbox_build(const struct sandbox *sandbox, const struct share_option *shares, int *share_fds,
		  size_t n_shares)
{
	/* The host's /proc stays within reach as the working folder, and as nothing else. */
	autofd proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int ret = proc < 0 ? -errno : 0;

	if (!ret && sandbox->mode == SANDBOX_NAMESPACE)
		ret = build_root(shares, share_fds, n_shares);
	if (!ret && sandbox->mode == SANDBOX_NAMESPACE)
		ret = enter_root();
	if (!ret && fchdir(proc))
		ret = -errno;
	return ret;
}

int sandbox_seal(struct sandbox *sandbox, const struct share_option *shares, const int *share_fds,
		 size_t n_shares)
{
	int ret = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		ret = -errno;
	if (!ret)
		ret = limit_capabilities(sandbox);
	if (!ret && sandbox->mode == SANDBOX_LANDLOCK)
		ret = landlock_shares(share_fds, shares, n_shares);
	if (!ret && sandbox->mode != SANDBOX_NONE)
		ret = seccomp_install();
	return ret;
}

const char *sandbox_name(const struct sandbox *sandbox)
{
	static const char *const names[] = { "system call filter alone", "namespaces", "landlock",
					     "none" };

	return sandbox->user_namespace ? "namespaces (of a user)" : names[sandbox->mode];
}
