// SPDX-License-Identifier: GPL-2.0-or-later
/* File systems by the numbers that statfs(2) gives. */
#include "shared-fs/server/fstype.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "protocol/lib/patience.h"

/* Not in linux/magic.h of all supported systems; fs/ceph/super.h, fs/9p/v9fs.h and friends. */
#define CEPH_MAGIC     0x00c36400
#define CONFIGFS_MAGIC 0x62656570
#define FUSE_MAGIC     0x65735546
#define SMB2_MAGIC     0xfe534d42u
#define CIFS_MAGIC     0xff534d42u

static bool is_one_of(uint32_t type, const uint32_t *types, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (type == types[i])
			return true;
	}
	return false;
}

static enum fs_kind kind_of(uint32_t type)
{
	static const uint32_t pseudo[] = {
		PROC_SUPER_MAGIC,    SYSFS_MAGIC,    DEBUGFS_MAGIC, TRACEFS_MAGIC,
		SECURITYFS_MAGIC,    EFIVARFS_MAGIC, BPF_FS_MAGIC,  CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC, CONFIGFS_MAGIC, PSTOREFS_MAGIC
	};
	static const uint32_t remote[] = { NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, AFS_SUPER_MAGIC,
					   AFS_FS_MAGIC,    V9FS_MAGIC,	     CODA_SUPER_MAGIC,
					   CEPH_MAGIC,	    FUSE_MAGIC,	     SMB2_MAGIC,
					   CIFS_MAGIC };

	if (is_one_of(type, pseudo, sizeof(pseudo) / sizeof(pseudo[0])))
		return FS_PSEUDO;
	return is_one_of(type, remote, sizeof(remote) / sizeof(remote[0])) ? FS_REMOTE : FS_LOCAL;
}

enum fs_kind fd_kind(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) ? FS_LOCAL : kind_of((uint32_t)st.f_type);
}

struct question {
	int fd;
	struct folder_facts facts;
};

static void ask(void *item)
{
	struct question *question = item;
	struct folder_facts *facts = &question->facts;
	struct statfs st;
	struct statx stx;

	facts->local = true;
	if (statx(question->fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &stx) ||
	    faccessat(question->fd, ".", R_OK | X_OK, AT_EACCESS))
		facts->error = -errno;
	if (!fstatfs(question->fd, &st)) {
		facts->local = kind_of((uint32_t)st.f_type) != FS_REMOTE;
		facts->large_pages = (uint32_t)st.f_type == TMPFS_MAGIC;
	}
}

void folder_ask(int fd, struct folder_facts *ret_facts)
{
	const struct patience how = { ask, NULL, sizeof(struct question), PATIENCE_MS };
	struct question question = { .fd = fd };
	bool done;

	patience_call(&how, &question, 1, &done);
	*ret_facts = done ? question.facts : (struct folder_facts){ .silent = true };
}
