// SPDX-License-Identifier: GPL-2.0-or-later
/* What tests of the watcher share. */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/lib/fs_change.h"
#include "shared-fs/server/watch.h"
#include "shared-fs/server/watch_private.h"
#include "tests/unit/fsd_watch_rig.h"

struct fsd_rig watch_rig;
int watch_ours, watch_theirs;
struct seen watch_seen[CHANGES_MAX];
size_t watch_n_seen;
static unsigned int marker;

static void keep(const void *batch, size_t len)
{
	struct fs_change change;
	size_t at = 0;

	ck_assert_int_eq(fs_change_check(batch, len), 0);
	while (fs_change_next(batch, len, &at, &change) > 0) {
		struct seen *one = &watch_seen[watch_n_seen++];

		ck_assert_uint_le(watch_n_seen, CHANGES_MAX);
		*one = (struct seen){ .kinds = change.kinds,
				      .cookie = change.cookie,
				      .folder = change.folder,
				      .folder_ino = change.folder_ino,
				      .child = change.child,
				      .child_ino = change.child_ino };
		ck_assert_uint_lt(change.path_len, sizeof(one->path));
		memcpy(one->path, change.path, change.path_len);
		memcpy(one->name, change.name, change.name_len);
	}
}

/* One more batch, within @ms. */
bool watch_rig_take(int ms)
{
	static uint64_t batch[LODGE_FS_BATCH_MAX / 8];
	struct pollfd pfd = { .fd = watch_ours, .events = POLLIN };
	ssize_t got;

	if (poll(&pfd, 1, ms) != 1)
		return false;
	got = recv(watch_ours, batch, sizeof(batch), 0);
	ck_assert_int_gt(got, 0);
	keep(batch, (size_t)got);
	return true;
}

const struct seen *watch_rig_find(const char *name, uint32_t kind)
{
	for (size_t i = 0; i < watch_n_seen; i++) {
		if (!strcmp(watch_seen[i].name, name) && watch_seen[i].kinds & kind)
			return &watch_seen[i];
	}
	return NULL;
}

/* Makes a change of its own and reads up to its record: what came before it has come. */
void watch_rig_drain(void)
{
	char name[32];

	sprintf(name, "marker-%u", marker++);
	fsd_write_file(&watch_rig, name, "x");
	while (!watch_rig_find(name, LODGE_FS_CREATED))
		ck_assert(watch_rig_take(LAST_MS));
}

/* The same, where markers may be lost among others. */
void watch_rig_settle(void)
{
	char name[32];

	for (int i = 0; i < 50; i++) {
		sprintf(name, "settled-%d", i);
		fsd_write_file(&watch_rig, name, "x");
		while (watch_rig_take(300))
			;
		if (watch_rig_find(name, LODGE_FS_CREATED))
			return;
	}
	ck_abort_msg("nothing is told any more");
}

void watch_rig_forget(void)
{
	watch_rig_drain();
	watch_n_seen = 0;
}

/* Until folder @nodeid is watched. */
void watch_rig_await(uint64_t nodeid)
{
	for (int i = 0; i < 5000; i++) {
		const struct inode *inode;
		uint32_t watch;

		pthread_mutex_lock(&watch_rig.fs->lock);
		inode = slots_get(&watch_rig.fs->inodes, nodeid);
		watch = inode->watch;
		pthread_mutex_unlock(&watch_rig.fs->lock);
		if (watch)
			return;
		(void)!poll(NULL, 0, 1);
	}
	ck_abort_msg("the folder is not watched");
}

void watch_rig_await_all(uint32_t n)
{
	uint32_t now = ~0u;

	for (int i = 0; i < 5000 && now != n; i++) {
		pthread_mutex_lock(&watch_rig.fs->lock);
		now = watch_rig.fs->watcher->n_watches;
		pthread_mutex_unlock(&watch_rig.fs->lock);
		(void)!poll(NULL, 0, 1);
	}
	ck_assert_uint_eq(now, n);
}

void watch_rig_say(uint8_t word)
{
	ck_assert_int_eq(send(watch_ours, &word, 1, 0), 1);
}

void watch_rig_start(const struct fsd_rig_options *options)
{
	int pair[2];

	watch_n_seen = 0;
	fsd_rig_start(&watch_rig, options);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	watch_ours = pair[0];
	watch_theirs = pair[1];
	ck_assert_int_eq(watcher_create(watch_rig.fs, watch_theirs, false), 0);
	watch_rig_say(LODGE_FS_NOTIFY_ON);
}

void watch_rig_setup(void)
{
	const struct fsd_rig_options options = { 0 };

	watch_rig_start(&options);
	watch_rig_await(FUSE_ROOT_ID);
}

void watch_rig_teardown(void)
{
	watcher_destroy(watch_rig.fs->watcher);
	fsd_rig_stop(&watch_rig);
	close(watch_ours);
	close(watch_theirs);
}

uint64_t watch_rig_folder(const char *name)
{
	char buffer[256];
	uint64_t node;
	int error;

	ck_assert_int_eq(mkdir(fsd_path(&watch_rig, name, buffer), 0755), 0);
	node = fsd_lookup(&watch_rig, FUSE_ROOT_ID, name, &error);
	ck_assert_int_eq(error, 0);
	watch_rig_await(node);
	return node;
}
