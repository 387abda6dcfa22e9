// SPDX-License-Identifier: GPL-2.0-or-later
/* The session: FUSE_INIT's bargain, its record, DESTROY, syncfs. */
#include "shared-fs/server/session.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared-fs/server/dax.h"
#include "shared-fs/server/ops.h"

#define MAX_WRITE (1024 * 1024)
#define MAX_PAGES 256 /* FUSE_MAX_MAX_PAGES: MAX_WRITE in pages */

/* Linux 3.10, by mount.lodge. From 7.9 on the structs of requests and replies that both sides know
 * have one size, but for INIT's reply. */
#define MINOR_LEAST 22

/*
 * What each is good for stands in linux/fuse.h. Left out on purpose: WRITEBACK_CACHE (the host's
 * changes of size and time would not be seen), EXPORT_SUPPORT ("..": no name), ATOMIC_O_TRUNC
 * (Linux would have a program that runs cut off by OPEN, and then say ETXTBSY).
 */
#define WANTED_FEATURES                                                                            \
	((uint64_t)(FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_HAS_IOCTL_DIR |                       \
		    FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |           \
		    FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS | \
		    FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT | FUSE_INIT_EXT | FUSE_DONT_MASK))

/*
 * Opening and closing without a message saves three of five requests of open, read, close: OPEN,
 * FLUSH, RELEASE. What they are good for otherwise: locks on the host, looking at the file each
 * time (CACHE_NEVER), errors at close on network file systems. OPENDIR is answered in any case, see
 * op_opendir(); FUSE_NO_OPENDIR_SUPPORT is the mark of Linux 5.1, older ones open by message.
 */
static bool wants_zero_open(struct fs *fs)
{
	bool all_local = true;

	if (fs->config.host_locks || fs->config.cache == CACHE_NEVER)
		return false;
	pthread_mutex_lock(&fs->lock);
	for (size_t i = 0; i < SHARES_MAX; i++)
		all_local &= !fs->shares[i].used || fs->shares[i].local;
	pthread_mutex_unlock(&fs->lock);
	return all_local;
}

static uint64_t wanted(struct fs *fs)
{
	uint64_t features = WANTED_FEATURES;

	if (fs->config.host_locks)
		features |= FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS;
	/* A request more for each file of somebody else. Without the right to make files as their
	 * users the host's lists mean nothing to the guest's. */
	if (fs->switch_ids && !fs->config.no_xattr)
		features |= FUSE_POSIX_ACL;
	if (fs->config.cache == CACHE_ALWAYS)
		features &= ~(uint64_t)FUSE_AUTO_INVAL_DATA;
	if (dax_connected(fs->dax))
		features |= FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX;
	if (wants_zero_open(fs))
		features |= FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT;
	return features;
}

/* All that may be agreed on, whatever the shares are. */
#define POSSIBLE_FEATURES                                                                       \
	(WANTED_FEATURES |                                                                      \
	 (uint64_t)(FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS | FUSE_POSIX_ACL | FUSE_MAP_ALIGNMENT | \
		    FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT) |                           \
	 FUSE_HAS_INODE_DAX)

static void agree(struct fs *fs, uint32_t minor, uint64_t features)
{
	fs->minor = minor < FUSE_KERNEL_MINOR_VERSION ? minor : FUSE_KERNEL_MINOR_VERSION;
	fs->features = features;
	fs->zero_open = features & FUSE_NO_OPEN_SUPPORT && features & FUSE_NO_OPENDIR_SUPPORT;
}

int session_map(int fd, struct session_record **ret_record)
{
	void *record;

	if (ftruncate(fd, sizeof(struct session_record)))
		return -errno;
	record = mmap(NULL, sizeof(struct session_record), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      0);
	if (record == MAP_FAILED)
		return -errno;
	*ret_record = record;
	return 0;
}

/* Where in the record the share is, or could be; -1: there is no room. */
static int find_root(const struct session_record *record, const char *name, bool or_free)
{
	int free_one = -1;

	for (int i = 0; i < SHARES_MAX; i++) {
		if (!record->roots[i].nodeid)
			free_one = i;
		else if (!memcmp(record->roots[i].name, name, sizeof(record->roots[i].name)))
			return i;
	}
	return or_free ? free_one : -1;
}

uint64_t session_root(const struct fs *fs, const char name[SHARE_NAME_MAX + 1])
{
	const struct session_record *record = fs->config.session;
	int i = record ? find_root(record, name, false) : -1;

	return i < 0 ? 0 : record->roots[i].nodeid;
}

void session_root_made(const struct fs *fs, uint16_t share, uint64_t nodeid)
{
	struct session_record *record = fs->config.session;
	const char *name = fs->shares[share].name;
	int i = record ? find_root(record, name, true) : -1;

	if (i < 0)
		return;
	memcpy(record->roots[i].name, name, sizeof(record->roots[i].name));
	__atomic_store_n(&record->roots[i].nodeid, nodeid, __ATOMIC_RELEASE);
}

void session_root_gone(const struct fs *fs, uint16_t share, uint64_t nodeid)
{
	struct session_record *record = fs->config.session;
	int i = record ? find_root(record, fs->shares[share].name, false) : -1;

	/* Another share may have the name by now. */
	if (i >= 0 && record->roots[i].nodeid == nodeid)
		__atomic_store_n(&record->roots[i].nodeid, 0, __ATOMIC_RELEASE);
}

void session_adopt(struct fs *fs)
{
	struct session_record *record = fs->config.session;

	if (!record)
		return;
	if (record->magic != SESSION_MAGIC) {
		memset(record, 0, sizeof(*record));
		record->magic = SESSION_MAGIC;
		return;
	}
	record->era = (record->era + 1) % SLOT_ERAS;
	fs->inodes.era = (uint16_t)record->era;
	fs->handles.era = (uint16_t)record->era;
	if (!record->begun || record->minor < MINOR_LEAST) {
		session_ended(fs);
		return;
	}
	agree(fs, record->minor, record->features & POSSIBLE_FEATURES);
	fs->started = true;
}

void session_ended(const struct fs *fs)
{
	struct session_record *record = fs->config.session;

	if (!record)
		return;
	__atomic_store_n(&record->begun, 0, __ATOMIC_RELEASE);
	for (size_t i = 0; i < SHARES_MAX; i++)
		record->roots[i].nodeid = 0;
}

void session_begun(const struct fs *fs)
{
	struct session_record *record = fs->config.session;

	if (!record)
		return;
	session_ended(fs);
	record->features = fs->features;
	record->minor = fs->minor;
	__atomic_store_n(&record->begun, 1, __ATOMIC_RELEASE);
}

int64_t op_init(struct request *req)
{
	const struct fuse_init_in *body = request_body(req, fuse_init_in);
	struct fuse_init_out *out = (struct fuse_init_out *)req->scratch->reply;
	struct fs *fs = req->fs;
	uint64_t offered = body->flags;
	size_t size = body->major == FUSE_KERNEL_VERSION && body->minor < 23
			      ? FUSE_COMPAT_22_INIT_OUT_SIZE
			      : sizeof(*out);

	*out = (struct fuse_init_out){ .major = FUSE_KERNEL_VERSION,
				       .minor = FUSE_KERNEL_MINOR_VERSION };
	if (body->major > FUSE_KERNEL_VERSION)
		return sizeof(*out); /* it asks again, in our version */
	if (body->major < FUSE_KERNEL_VERSION || body->minor < MINOR_LEAST ||
	    req->reply_room < size)
		return -EPROTO;
	if (offered & FUSE_INIT_EXT && req->body_len >= sizeof(*body))
		offered |= (uint64_t)body->flags2 << 32;
	/* A guest that begins anew (reboot, reload of the driver) holds nothing any more. */
	fs_reset(fs);
	/* Linux says the latter of every mount, the former where the mount has a window: files that
	 * it will not map are like others. */
	if (!(offered & FUSE_MAP_ALIGNMENT))
		offered &= ~(uint64_t)FUSE_HAS_INODE_DAX;
	agree(fs, body->minor, offered & wanted(fs));
	session_begun(fs);
	out->minor = fs->minor;
	out->max_readahead = body->max_readahead;
	out->flags = (uint32_t)fs->features;
	out->flags2 = (uint32_t)(fs->features >> 32);
	out->max_background = 64;
	out->congestion_threshold = 48;
	out->max_write = MAX_WRITE;
	out->max_pages = MAX_PAGES;
	out->time_gran = 1;
	out->map_alignment = fs->features & FUSE_MAP_ALIGNMENT ? DAX_SLOT_SHIFT : 0;
	__atomic_store_n(&fs->started, true, __ATOMIC_RELEASE);
	return (int64_t)size;
}

int64_t op_destroy(struct request *req)
{
	session_ended(req->fs);
	fs_reset(req->fs);
	return 0;
}

int64_t op_syncfs(struct request *req)
{
	struct fs *fs = req->fs;
	int ret = 0;

	for (size_t i = 0; i < SHARES_MAX; i++) {
		int path_fd = -1;
		int fd;

		pthread_mutex_lock(&fs->lock);
		if (fs->shares[i].used && !fs->shares[i].removed && !fs->shares[i].read_only)
			path_fd = fcntl(fs->shares[i].fd, F_DUPFD_CLOEXEC, 3);
		pthread_mutex_unlock(&fs->lock);
		if (path_fd < 0)
			continue;
		/* Which may block: not under the lock. */
		fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && syncfs(fd) && !ret)
			ret = -errno;
		close(path_fd);
		if (fd >= 0)
			close(fd);
	}
	return ret;
}
