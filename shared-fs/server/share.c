// SPDX-License-Identifier: GPL-2.0-or-later
/* The shares of a device, and what belongs to a share: names, inode numbers. */
#include "shared-fs/server/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <linux/magic.h>

#include "shared-fs/server/dax.h"
#include "shared-fs/server/dir.h"
#include "shared-fs/server/session.h"

/* Not in linux/magic.h of all supported systems; fs/ceph/super.h, fs/9p/v9fs.h and friends. */
#define CEPH_MAGIC     0x00c36400
#define CONFIGFS_MAGIC 0x62656570
#define FUSE_MAGIC     0x65735546
#define SMB2_MAGIC     0xfe534d42u
#define CIFS_MAGIC     0xff534d42u

static bool utf8_valid(const unsigned char *text)
{
	while (*text) {
		unsigned int n = *text < 0x80	? 0
				 : *text < 0xc2 ? 9
				 : *text < 0xe0 ? 1
				 : *text < 0xf0 ? 2
				 : *text < 0xf5 ? 3
						: 9;
		unsigned char lead = *text++;

		if (n == 9)
			return false;
		/* Overlong forms, surrogates and what is above U+10FFFF show in the second byte. */
		if ((lead == 0xe0 && *text < 0xa0) || (lead == 0xed && *text > 0x9f) ||
		    (lead == 0xf0 && *text < 0x90) || (lead == 0xf4 && *text > 0x8f))
			return false;
		for (; n; n--, text++) {
			if ((*text & 0xc0) != 0x80)
				return false;
		}
	}
	return true;
}

int share_name_check(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > SHARE_NAME_MAX || !strcmp(name, ".") || !strcmp(name, "..") ||
	    strchr(name, '/') || !utf8_valid((const unsigned char *)name))
		return -EINVAL;
	return 0;
}

static bool is_one_of(int fd, const uint32_t *types, size_t n)
{
	struct statfs st;

	if (fstatfs(fd, &st))
		return false;
	for (size_t i = 0; i < n; i++) {
		if ((uint32_t)st.f_type == types[i])
			return true;
	}
	return false;
}

bool fd_is_pseudo(int fd)
{
	static const uint32_t pseudo[] = {
		PROC_SUPER_MAGIC,    SYSFS_MAGIC,    DEBUGFS_MAGIC, TRACEFS_MAGIC,
		SECURITYFS_MAGIC,    EFIVARFS_MAGIC, BPF_FS_MAGIC,  CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC, CONFIGFS_MAGIC, PSTOREFS_MAGIC
	};

	return is_one_of(fd, pseudo, sizeof(pseudo) / sizeof(pseudo[0]));
}

static bool is_local(int fd)
{
	static const uint32_t remote[] = { NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, AFS_SUPER_MAGIC,
					   AFS_FS_MAGIC,    V9FS_MAGIC,	     CODA_SUPER_MAGIC,
					   CEPH_MAGIC,	    FUSE_MAGIC,	     SMB2_MAGIC,
					   CIFS_MAGIC };

	return !is_one_of(fd, remote, sizeof(remote) / sizeof(remote[0]));
}

static bool has_large_pages(int fd)
{
	static const uint32_t large[] = { TMPFS_MAGIC };

	return is_one_of(fd, large, sizeof(large) / sizeof(large[0]));
}

int share_find_locked(const struct fs *fs, const char *name, size_t len)
{
	for (int i = 0; i < SHARES_MAX; i++) {
		const struct share *share = &fs->shares[i];

		if (share->used && !share->removed && strlen(share->name) == len &&
		    !memcmp(share->name, name, len))
			return i;
	}
	return -ENOENT;
}

static int place_share(struct fs *fs, const struct share *share, bool export)
{
	int i;

	if (share_find_locked(fs, share->name, strlen(share->name)) >= 0)
		return -EEXIST;
	for (i = 0; i < SHARES_MAX; i++) {
		if (!fs->shares[i].used || (fs->shares[i].removed && !fs->shares[i].n_inodes))
			break;
	}
	if (i == SHARES_MAX)
		return -ENOSPC;

	if (!share->local)
		__atomic_store_n(&fs->has_remote, true, __ATOMIC_RELEASE);
	/* A server that dies in between leaves no half of a share. */
	fs->shares[i] = *share;
	__atomic_store_n(&fs->shares[i].used, true, __ATOMIC_RELEASE);
	fs->exported = fs->exported || export;
	clock_gettime(CLOCK_REALTIME, &fs->shares_changed);
	return i;
}

/* The exported folder takes the place of the synthetic root. */
static int become_root(struct fs *fs, uint16_t share, const struct statx *stx)
{
	struct inode *root = slots_get(&fs->inodes, ROOT_NODEID);

	root->fd = fcntl(fs->shares[share].fd, F_DUPFD_CLOEXEC, 3);
	if (root->fd < 0)
		return -errno;
	root->share = share;
	root->dev = stx_dev(stx);
	root->ino = stx->stx_ino;
	root->mount_id = stx->stx_mnt_id;
	root->shown_ino = shown_ino(fs, share, root->dev, root->ino);
	fs->shares[share].n_inodes++;
	return 0;
}

/* The guest may know the share's folder from another lodge-fsd's time (session.h). */
static void restore_root(struct fs *fs, uint16_t share, const struct statx *stx)
{
	const struct found found = { .id = session_root(fs, fs->shares[share].name),
				     .share = share,
				     .stx = stx };
	int fd = found.id && fs->started ? fcntl(fs->shares[share].fd, F_DUPFD_CLOEXEC, 3) : -1;
	struct inode *inode = NULL;

	if (fd < 0)
		return;
	/* Without it, the folder's names are looked up anew, as all others are. */
	if (fd_charge(fs, 1)) {
		close(fd);
		return;
	}
	inode_find(fs, &found, &fd, &inode);
	inode_put(fs, inode);
	if (fd >= 0) {
		close(fd);
		fd_uncharge(fs, 1);
	}
}

int fs_share_add(struct fs *fs, const char *name, int fd, bool read_only,
		 const struct owner_map *owner, bool export)
{
	struct share share = { .read_only = read_only, .fd = fd, .owner = *owner };
	struct statx stx;

	int ret;

	ret = share_name_check(name);
	if (!ret && statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &stx))
		ret = -errno;
	if (!ret && !S_ISDIR(stx.stx_mode))
		ret = -ENOTDIR;
	if (ret)
		goto out;
	strcpy(share.name, name);
	share.local = is_local(fd);
	share.large_pages = has_large_pages(fd);
	pthread_mutex_lock(&fs->lock);
	ret = fs->exported ? -EEXIST : place_share(fs, &share, export);
	if (ret >= 0 && export)
		ret = become_root(fs, (uint16_t)ret, &stx);
	pthread_mutex_unlock(&fs->lock);

	if (ret >= 0 && !export)
		restore_root(fs, (uint16_t)ret, &stx);
	if (ret >= 0)
		return 0;
out:
	close(fd);
	return ret;
}

int fs_share_remove(struct fs *fs, const char *name)
{
	int fd = -1;
	int i;

	pthread_mutex_lock(&fs->lock);
	i = fs->exported ? -ENOENT : share_find_locked(fs, name, strlen(name));
	if (i >= 0) {
		fs->shares[i].removed = true;
		fd = fs->shares[i].fd;
		fs->shares[i].fd = -1;
		clock_gettime(CLOCK_REALTIME, &fs->shares_changed);
	}
	pthread_mutex_unlock(&fs->lock);
	if (i < 0)
		return i;
	close(fd);
	handles_drop_share(fs, (uint16_t)i);
	inodes_drop_share(fs, (uint16_t)i);
	dax_drop_share(fs->dax, (uint16_t)i);
	return 0;
}

struct share *inode_share(struct fs *fs, const struct inode *inode)
{
	return inode->share == NO_SHARE ? NULL : &fs->shares[inode->share];
}

bool share_is_removed(struct fs *fs, const struct inode *inode)
{
	bool removed;

	pthread_mutex_lock(&fs->lock);
	removed = inode->share != NO_SHARE && fs->shares[inode->share].removed;
	pthread_mutex_unlock(&fs->lock);
	return removed;
}

/*
 * Two devices may use the same inode numbers, so each (share, device) has a prefix of 16 bits. The
 * first has 0: the usual share shows the host's numbers. Where a number has no room for a prefix,
 * or there are too many devices, numbers are mixed: stable still, and unique but for a chance of
 * 2^-63.
 */
uint32_t ino_prefix(struct fs *fs, uint16_t share, uint64_t dev)
{
	uint32_t n = __atomic_load_n(&fs->n_prefixes, __ATOMIC_ACQUIRE);
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (fs->prefixes[i].dev == dev && fs->prefixes[i].share == share)
			return i;
	}
	if (n < INO_PREFIXES_MAX) {
		fs->prefixes[n] = (struct ino_prefix){ dev, share };
		__atomic_store_n(&fs->n_prefixes, n + 1, __ATOMIC_RELEASE);
	}
	return n;
}

uint64_t ino_with_prefix(uint32_t prefix, uint16_t share, uint64_t dev, uint64_t ino)
{
	const uint64_t mixed = 1ULL << 63;

	if (!prefix)
		return ino;
	if (prefix == INO_PREFIXES_MAX)
		return mixed | ((ino ^ dev * 0x9e3779b97f4a7c15ULL ^ share) & ~mixed);
	if (ino >> 48)
		return mixed | ((ino * 0x9e3779b97f4a7c15ULL + prefix) & ~mixed);
	return (uint64_t)prefix << 48 | ino;
}

uint64_t shown_ino(struct fs *fs, uint16_t share, uint64_t dev, uint64_t ino)
{
	return ino_with_prefix(ino_prefix(fs, share, dev), share, dev, ino);
}
