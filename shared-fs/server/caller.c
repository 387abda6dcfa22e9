// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whose files the guest makes. A server that runs as root takes on the caller's ids for the one
 * call that makes a file; any other makes them as itself.
 *
 * The raw system calls change this thread alone, where the C library's change all. The securebit
 * NO_SETUID_FIXUP (set by the sandbox) keeps the capabilities meanwhile: access was decided by the
 * guest's kernel, which knows all of the caller's groups.
 */
#include "shared-fs/server/kept.h"
#include "shared-fs/server/ops.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

void capability_fsetid(const struct fs *fs, bool on)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (!fs->switch_ids || syscall(SYS_capget, &head, data))
		return;
	if (on)
		data[0].effective |= data[0].permitted & 1u << CAP_FSETID;
	else
		data[0].effective &= ~(1u << CAP_FSETID);
	syscall(SYS_capset, &head, data);
}

/* False where the thread cannot have a mask of its own. */
static bool set_mask(struct scratch *scratch, uint32_t mask)
{
	if (scratch->mask_state == MASK_COMMON)
		scratch->mask_state = unshare(CLONE_FS) ? MASK_DENIED : MASK_OWN;
	else if (scratch->mask == mask)
		return scratch->mask_state == MASK_OWN;
	scratch->mask = mask;
	if (scratch->mask_state == MASK_OWN)
		umask(mask);
	return scratch->mask_state == MASK_OWN;
}

uint32_t caller_mode(const struct request *req, uint32_t mode, uint32_t umask)
{
	umask &= req->fs->features & FUSE_DONT_MASK ? 0777 : 0;
	if (!kept_active(req->fs, inode_share(req->fs, req->inode)) &&
	    set_mask(req->scratch, umask))
		return mode;
	set_mask(req->scratch, 0);
	return mode & ~umask;
}

int caller_enter(const struct request *req, uint32_t mode, struct caller *ret_caller)
{
	const struct fs *fs = req->fs;
	const struct share *share = inode_share(req->fs, req->inode);
	struct caller caller = { 0 };

	*ret_caller = caller;
	if (!S_ISDIR(req->inode->type))
		return -ENOTDIR;
	if (!fs->switch_ids || share->owner.active)
		return 0;
	/* chmod(2) in all but name: the guest asks for a folder with the bit. */
	if (mode & S_ISGID && req->in.uid == 0) {
		capability_fsetid(fs, true);
		caller.set_id = true;
	}
	if (req->in.gid != fs->egid) {
		if (syscall(SYS_setresgid, -1, req->in.gid, -1))
			goto err;
		caller.gid_changed = true;
	}
	if (req->in.uid != fs->euid) {
		if (syscall(SYS_setresuid, -1, req->in.uid, -1))
			goto err;
		caller.uid_changed = true;
	}
	*ret_caller = caller;
	return 0;

err:
	caller_leave(fs, &caller);
	return -EPERM;
}

void caller_leave(const struct fs *fs, const struct caller *caller)
{
	if (caller->uid_changed && syscall(SYS_setresuid, -1, fs->euid, -1))
		_exit(70); /* EX_SOFTWARE: to go on as the wrong user would be worse */
	if (caller->gid_changed && syscall(SYS_setresgid, -1, fs->egid, -1))
		_exit(70);
	if (caller->set_id)
		capability_fsetid(fs, false);
}
