// SPDX-License-Identifier: GPL-2.0-or-later
/* Configured shares, and those of them that come late. */
#include "host-vmm/virtio/fs_late.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/virtio/fs_backend.h"
#include "protocol/lib/folder.h"
#include "protocol/lib/log.h"
#include "protocol/lib/patience.h"

struct fs_late {
	pthread_mutex_t lock; /* over what follows; held while a share is added */
	struct fs_backend *backend; /* NULL: it is gone */
	size_t users; /* whoever made it, and threads */
};

/* A thread's. */
struct late_share {
	struct folder folder; /* first: it is folder_open()'s */
	struct fs_late *late;
	char name[VM_SHARE_NAME_MAX + 2]; /* cut to what is refused */
	struct vm_share_rules rules;
};

static void drop(struct fs_late *late)
{
	size_t users;

	pthread_mutex_lock(&late->lock);
	users = --late->users;
	pthread_mutex_unlock(&late->lock);
	if (users)
		return;
	pthread_mutex_destroy(&late->lock);
	free(late);
}

void fs_late_destroy(struct fs_late *late)
{
	if (!late)
		return;
	pthread_mutex_lock(&late->lock);
	late->backend = NULL;
	pthread_mutex_unlock(&late->lock);
	drop(late);
}

static int add(struct fs_backend *backend, struct late_share *share)
{
	const struct fs_share_info info = { share->name, share->folder.path, share->rules };
	int fd = share->folder.fd, ret = share->folder.error;
	char why[FS_WHY_MAX];

	if (!ret) {
		share->folder.fd = -1;
		ret = fs_backend_share_add(backend, &info, fd, why);
	}
	if (ret == -EINVAL)
		log_error("share '%s': a name has 1 to %d bytes of UTF-8 without '/' and is not "
			  "'.' or '..'",
			  share->name, VM_SHARE_NAME_MAX);
	else if (ret)
		log_error("share %s: '%s': %s; give the path of a folder that you may read",
			  share->name, share->folder.path, strerror(-ret));
	return ret;
}

static void add_late(void *item)
{
	struct late_share *share = item;
	struct fs_late *late = share->late;

	folder_check(&share->folder);
	pthread_mutex_lock(&late->lock);
	if (late->backend && !add(late->backend, share))
		log_info("share '%s': its machine answers; the guest has it now", share->name);
	pthread_mutex_unlock(&late->lock);
	folder_close(&share->folder);
	drop(late);
}

static struct late_share *describe(struct fs_late *late, const struct vm_share *shares, size_t n)
{
	struct late_share *list = calloc(n ? n : 1, sizeof(*list));

	for (size_t i = 0; list && i < n; i++) {
		list[i].late = late;
		list[i].rules = shares[i].rules;
		snprintf(list[i].name, sizeof(list[i].name), "%s", shares[i].name);
		folder_init(&list[i].folder, shares[i].path);
	}
	return list;
}

static int add_all(struct fs_late *late, struct late_share *list, size_t n, const bool *done)
{
	int ret = 0;

	for (size_t i = 0; i < n; i++) {
		if (!done[i]) {
			log_warn("share '%s': '%s' is on a machine that does not answer; the guest "
				 "has it when it does",
				 list[i].name, list[i].folder.path);
			continue;
		}
		drop(late); /* no thread has it */
		folder_check(&list[i].folder);
		if (!ret)
			ret = add(late->backend, &list[i]);
		folder_close(&list[i].folder);
	}
	return ret;
}

int fs_late_create(struct fs_backend *backend, const struct vm_share *shares, size_t n,
		   struct fs_late **ret_late)
{
	const struct patience how = { folder_open, add_late, sizeof(struct late_share),
				      PATIENCE_MS };
	struct fs_late *late = calloc(1, sizeof(*late));
	struct late_share *list = late ? describe(late, shares, n) : NULL;
	bool *done = calloc(n ? n : 1, sizeof(*done));
	int ret = -ENOMEM;

	if (!late || !list || !done) {
		free(late);
		goto out;
	}
	pthread_mutex_init(&late->lock, NULL);
	late->backend = backend;
	late->users = 1 + n;
	*ret_late = late;
	patience_call(&how, list, n, done);
	ret = add_all(late, list, n, done);
out:
	free(list);
	free(done);
	return ret;
}
