// SPDX-License-Identifier: GPL-2.0-or-later
/* The shares of a device, and what belongs to a share: names, inode numbers. */
#include "shared-fs/server/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shared-fs/server/dax.h"
#include "shared-fs/server/dir.h"
#include "shared-fs/server/fstype.h"
#include "shared-fs/server/session.h"

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
	root->remote = !fs->shares[share].local;
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

/* Landlock's rules were made for the folders of the start. */
static bool is_out_of_reach(int path_fd)
{
	int fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool refused = fd < 0 && errno == EACCES;

	if (fd >= 0)
		close(fd);
	return refused;
}

/* Whether or not its machine answers: a share of one that is silent for now must not keep the
 * others from being served. */
static int look_at(int fd, struct share *share, struct statx *ret_stx)
{
	struct folder_facts facts;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS | STATX_MNT_ID,
		  ret_stx))
		return -errno;
	if (!S_ISDIR(ret_stx->stx_mode))
		return -ENOTDIR;
	folder_ask(fd, &facts);
	share->local = facts.local;
	share->large_pages = facts.large_pages;
	if (share->local && !ret_stx->stx_nlink)
		return -ENOENT;
	if (facts.silent)
		log_warn("share '%s': its file system does not answer; it is taken for one of "
			 "another machine",
			 share->name);
	else if (!facts.error && is_out_of_reach(fd))
		return -EACCES;
	return facts.error;
}

int fs_share_add(struct fs *fs, const char *name, int fd, bool read_only,
		 const struct owner_map *owner, bool export)
{
	struct share share = { .read_only = read_only, .fd = fd, .owner = *owner };
	struct statx stx;
	int ret = share_name_check(name);

	if (!ret) {
		strcpy(share.name, name);
		ret = look_at(fd, &share, &stx);
	}
	if (ret)
		goto out;
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
