// SPDX-License-Identifier: GPL-2.0-or-later
/* Life of the file system: made once, reset whenever the guest begins anew. */
#include "shared-fs/server/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "shared-fs/server/dax.h"
#include "shared-fs/server/dir.h"
#include "shared-fs/server/evict.h"
#include "shared-fs/server/session.h"
#include "shared-fs/server/shared.h"

static int make_tables(struct fs *fs)
{
	int ret = slots_init(&fs->inodes, sizeof(struct inode));

	if (!ret)
		ret = slots_init(&fs->handles, sizeof(struct handle));
	if (!ret)
		ret = slots_init(&fs->lock_owners, sizeof(struct lock_owner));
	if (!ret)
		ret = places_init(fs);
	return ret ? ret : inodes_hash(fs);
}

static int open_proc(struct fs *fs, const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int old = fs->proc_fd;

	if (fd < 0)
		return -errno;
	/* See fd_name() for what this is good for. */
	if (fchdir(fd)) {
		int error = -errno;

		close(fd);
		return error;
	}
	fs->proc_fd = fd;
	if (old >= 0)
		close(old);
	return 0;
}

int fs_attach(struct fs *fs)
{
	return open_proc(fs, "self/fd");
}

static void release(struct fs *fs)
{
	dax_destroy(fs->dax);
	places_fini(fs);
	slots_fini(&fs->lock_owners);
	slots_fini(&fs->handles);
	slots_fini(&fs->inodes);
	free(fs->buckets);
	shared_free(fs, sizeof(*fs));
}

int fs_create(const struct fs_config *config, struct fs **ret_fs)
{
	struct fs *fs = shared_alloc(sizeof(*fs));
	struct inode *root;
	int ret;

	if (!fs)
		return -ENOMEM;
	fs->config = *config;
	fs->euid = geteuid();
	fs->egid = getegid();
	fs->data_wake = -1;
	fs->proc_fd = -1;
	ret = make_tables(fs);
	if (!ret && config->dax_size)
		ret = dax_create(config->dax_size, &fs->dax);
	if (!ret)
		ret = open_proc(fs, "/proc/self/fd");
	if (ret) {
		release(fs);
		return ret;
	}
	root = slots_alloc(&fs->inodes);
	root->fd = -1;
	root->share = NO_SHARE;
	root->type = S_IFDIR;
	root->shown_ino = ROOT_NODEID;
	root->nlookup = 1;
	root->refs = 1;
	pthread_mutex_init(&fs->lock, NULL);
	clock_gettime(CLOCK_REALTIME, &fs->shares_changed);
	session_adopt(fs);
	*ret_fs = fs;
	return 0;
}

void fs_reset(struct fs *fs)
{
	__atomic_store_n(&fs->started, false, __ATOMIC_RELEASE);
	__atomic_add_fetch(&fs->epoch, 1, __ATOMIC_ACQ_REL);
	interrupts_reset(fs);
	dax_clear(fs->dax);
	__atomic_store_n(&fs->maps_all, false, __ATOMIC_RELAXED);
	data_close_all(fs);
	handles_reset(fs);
	inodes_reset(fs);
}

void fs_destroy(struct fs *fs)
{
	const struct inode *root;

	if (!fs)
		return;
	fs_reset(fs);
	root = slots_get(&fs->inodes, ROOT_NODEID);
	if (root->fd >= 0)
		close(root->fd);
	for (size_t i = 0; i < SHARES_MAX; i++) {
		if (fs->shares[i].used && !fs->shares[i].removed)
			close(fs->shares[i].fd);
	}
	close(fs->proc_fd);
	pthread_mutex_destroy(&fs->lock);
	release(fs);
}

uint64_t fs_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
