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

int fs_create(const struct fs_config *config, struct fs **ret_fs)
{
	struct fs *fs = calloc(1, sizeof(*fs));
	struct inode *root;
	int ret;

	if (!fs)
		return -ENOMEM;
	fs->config = *config;
	ret = config->dax_size ? dax_create(config->dax_size, &fs->dax) : 0;
	if (ret) {
		free(fs);
		return ret;
	}
	fs->euid = geteuid();
	fs->egid = getegid();
	fs->data_wake = -1;
	fs->inodes.object_size = sizeof(struct inode);
	fs->handles.object_size = sizeof(struct handle);
	fs->n_buckets = INODE_HASH_BUCKETS;
	fs->buckets = calloc(fs->n_buckets, sizeof(*fs->buckets));
	root = slots_alloc(&fs->inodes);
	if (!fs->buckets || !root) {
		ret = -ENOMEM;
		goto err_free;
	}
	root->fd = -1;
	root->share = NO_SHARE;
	root->type = S_IFDIR;
	root->shown_ino = ROOT_NODEID;
	root->nlookup = 1;
	root->refs = 1;
	fs->proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fs->proc_fd < 0) {
		ret = -errno;
		goto err_free;
	}
	/* See fd_name() for what this is good for. */
	if (fchdir(fs->proc_fd)) {
		ret = -errno;
		goto err_close;
	}
	pthread_mutex_init(&fs->lock, NULL);
	clock_gettime(CLOCK_REALTIME, &fs->shares_changed);
	*ret_fs = fs;
	return 0;

err_close:
	close(fs->proc_fd);
err_free:
	dax_destroy(fs->dax);
	slots_fini(&fs->inodes);
	free(fs->buckets);
	free(fs);
	return ret;
}

void fs_reset(struct fs *fs)
{
	__atomic_store_n(&fs->started, false, __ATOMIC_RELEASE);
	__atomic_add_fetch(&fs->epoch, 1, __ATOMIC_ACQ_REL);
	dax_clear(fs->dax);
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
	dax_destroy(fs->dax);
	pthread_mutex_destroy(&fs->lock);
	slots_fini(&fs->handles);
	slots_fini(&fs->inodes);
	free(fs->buckets);
	free(fs);
}
