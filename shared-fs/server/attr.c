// SPDX-License-Identifier: GPL-2.0-or-later
/* Attributes: what the guest sees of a file and what it may change. */
#include "shared-fs/server/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "shared-fs/server/dax.h"
#include "shared-fs/server/kept.h"

#define OVERFLOW_ID \
	65534 /* /proc/sys/kernel/overflowuid: an id without a mapping in our namespace */

struct fd_name fd_name(int fd)
{
	struct fd_name name;
	char digits[12] = "";
	size_t n = 0;
	size_t at = 0;

	if (fd < 0) {
		/* Of a share that was removed meanwhile: a name that is never there. */
		memcpy(name.text, "none", 5);
		return name;
	}
	do {
		digits[n++] = (char)('0' + fd % 10);
		fd /= 10;
	} while (fd);
	while (n)
		name.text[at++] = digits[--n];
	name.text[at] = 0;
	return name;
}

/*
 * What changed lately is likely to change again: a file's or folder's attributes are good for a
 * twentieth of the time since its last change, from 20 ms (a folder: 100 ms) to 1 s. A guest that
 * opens without a message compares times when they run out, and drops what it has cached.
 */
#define VALID_MIN_NS 20000000
#define VALID_DIR_NS 100000000
#define VALID_MAX_NS 1000000000
#define VALID_PART   20
/* The list of shares: a new one is to be seen soon, and each path to a file comes by here. */
#define VALID_ROOT_NS 200000000

static int64_t valid_ns(const struct statx_timestamp *changed, int64_t min)
{
	struct timespec now;
	int64_t age;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	age = now.tv_sec - changed->tv_sec;
	if (age < 0)
		return min;
	if (age >= VALID_PART)
		return VALID_MAX_NS;
	age = (age * 1000000000 + now.tv_nsec - changed->tv_nsec) / VALID_PART;
	return age < min ? min : age > VALID_MAX_NS ? VALID_MAX_NS : age;
}

struct validity cache_validity(const struct fs *fs, const struct statx *stx, bool name)
{
	int64_t ns = VALID_MAX_NS;

	if (fs->config.cache == CACHE_NEVER)
		return (struct validity){ 0 };
	if (!stx)
		ns = VALID_ROOT_NS;
	else if (fs->config.cache == CACHE_ALWAYS)
		return (struct validity){ .seconds = 86400 };
	if (stx && S_ISREG(stx->stx_mode))
		ns = valid_ns(&stx->stx_ctime, VALID_MIN_NS);
	else if (stx && S_ISDIR(stx->stx_mode) && !name)
		ns = valid_ns(&stx->stx_ctime, VALID_DIR_NS);
	return (struct validity){ (uint64_t)(ns / 1000000000), (uint32_t)(ns % 1000000000) };
}

/*
 * Close-to-open: open(2) walks a path, asks for a file's name again, and gets its times and size
 * with it. Folders are not asked for on each way to a file. Nor are files that were just listed
 * with their attributes, for that is why they were: ls -l would ask for each of them once more.
 *
 * Not 0: what is good for no time Linux' virtiofs drops as soon as nobody has it open, and with the
 * name all that it has cached of the file (delete_stale). It rounds up, to two ticks at most.
 */
#define VALID_NAME_NS 1

struct validity name_validity(const struct fs *fs, const struct statx *stx, bool listed)
{
	if (fs->config.cache == CACHE_AUTO && stx && !S_ISDIR(stx->stx_mode) && !listed)
		return (struct validity){ .ns = VALID_NAME_NS };
	return cache_validity(fs, stx, true);
}

struct validity attr_validity(struct fs *fs, const struct inode *inode, const struct statx *stx)
{
	const struct share *share = inode_share(fs, inode);

	/* What the guest stores through the window changes times that it does not know of. */
	if (stx && share && !share->read_only && S_ISREG(stx->stx_mode) &&
	    (dax_attr_flags(fs, share, stx) || __atomic_load_n(&fs->maps_all, __ATOMIC_RELAXED)))
		return (struct validity){ 0 };
	return cache_validity(fs, stx, false);
}

static uint32_t encode_dev(uint32_t major, uint32_t minor)
{
	/* new_encode_dev() of the kernel */
	return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

static uint32_t guest_id(const struct fs *fs, bool mapped, uint32_t id, uint32_t own,
			 uint32_t owner)
{
	if (mapped && id == own)
		return owner;
	if (fs->config.user_namespace && id == OVERFLOW_ID)
		return 0;
	return id;
}

uint32_t attr_uid(const struct fs *fs, const struct share *share, uint32_t uid)
{
	return guest_id(fs, share->owner.active, uid, fs->euid, share->owner.uid);
}

uint32_t attr_gid(const struct fs *fs, const struct share *share, uint32_t gid)
{
	return guest_id(fs, share->owner.active, gid, fs->egid, share->owner.gid);
}

static uint32_t mode_mask(const struct share *share, uint32_t type)
{
	return S_ISDIR(type) ? share->owner.dir_mask : share->owner.file_mask;
}

uint32_t attr_new_mode(const struct request *req, uint32_t type, uint32_t mode)
{
	const struct share *share = inode_share(req->fs, req->inode);

	/* Its own user can use it, or nobody could. */
	mode &= 07777 & ~(mode_mask(share, type) & 077);
	return kept_active(req->fs, share) ? kept_host_mode(type, mode) : mode;
}

/* What the owner's rules make of the host's word. */
static void apply_rules(const struct fs *fs, const struct share *share, const struct inode *inode,
			struct fuse_attr *attr, const struct statx *stx)
{
	if (kept_active(fs, share)) {
		struct kept kept = kept_of(fs, share, stx);

		kept_show(inode->fd, &kept);
		attr->uid = kept.uid;
		attr->gid = kept.gid;
		attr->mode = kept.mode;
		attr->rdev = encode_dev(kept.rdev_major, kept.rdev_minor);
		if ((kept.mode & S_IFMT) != (stx->stx_mode & S_IFMT))
			attr->size = attr->blocks = 0;
	}
	if (!S_ISLNK(attr->mode))
		attr->mode &= ~mode_mask(share, attr->mode);
}

static void attr_fill_root(const struct fs *fs, struct fuse_attr *attr)
{
	*attr = (struct fuse_attr){ .ino = ROOT_NODEID,
				    .mode = S_IFDIR | 0555,
				    .nlink = 2,
				    .blksize = 4096,
				    .mtime = (uint64_t)fs->shares_changed.tv_sec,
				    .mtimensec = (uint32_t)fs->shares_changed.tv_nsec };
	attr->ctime = attr->mtime;
	attr->atime = attr->mtime;
	attr->ctimensec = attr->mtimensec;
	attr->atimensec = attr->mtimensec;
}

void attr_fill(struct fs *fs, const struct inode *inode, const struct statx *stx,
	       struct fuse_attr *attr)
{
	const struct share *share = inode_share(fs, inode);

	if (!share || !stx) {
		attr_fill_root(fs, attr);
		return;
	}
	*attr = (struct fuse_attr){
		.ino = inode->shown_ino,
		.size = stx->stx_size,
		.blocks = stx->stx_blocks,
		.atime = (uint64_t)stx->stx_atime.tv_sec,
		.mtime = (uint64_t)stx->stx_mtime.tv_sec,
		.ctime = (uint64_t)stx->stx_ctime.tv_sec,
		.atimensec = stx->stx_atime.tv_nsec,
		.mtimensec = stx->stx_mtime.tv_nsec,
		.ctimensec = stx->stx_ctime.tv_nsec,
		.mode = stx->stx_mode,
		.nlink = stx->stx_nlink,
		.uid = attr_uid(fs, share, stx->stx_uid),
		.gid = attr_gid(fs, share, stx->stx_gid),
		.rdev = encode_dev(stx->stx_rdev_major, stx->stx_rdev_minor),
		.blksize = dax_block_size(fs, stx),
		.flags = dax_attr_flags(fs, share, stx),
	};
	if (share->owner.exact || share->owner.file_mask || share->owner.dir_mask)
		apply_rules(fs, share, inode, attr, stx);
}

uid_t host_uid(const struct fs *fs, const struct share *share, uint32_t uid)
{
	return share->owner.active && uid == share->owner.uid ? fs->euid : uid;
}

gid_t host_gid(const struct fs *fs, const struct share *share, uint32_t gid)
{
	return share->owner.active && gid == share->owner.gid ? fs->egid : gid;
}

static int64_t reply_attr(struct request *req, int fd)
{
	struct fuse_attr_out *out = (struct fuse_attr_out *)req->scratch->reply;
	struct validity valid;
	struct statx stx;

	dax_settle_times(req->fs->dax, req->inode);
	if (fd >= 0 && statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_WANTED, &stx))
		return -errno;
	valid = attr_validity(req->fs, req->inode, fd >= 0 ? &stx : NULL);
	out->attr_valid = valid.seconds;
	out->attr_valid_nsec = valid.ns;
	out->dummy = 0;
	attr_fill(req->fs, req->inode, fd >= 0 ? &stx : NULL, &out->attr);
	return sizeof(*out);
}

int64_t op_getattr(struct request *req)
{
	const struct fuse_getattr_in *body = request_body(req, fuse_getattr_in);
	struct handle *handle = NULL;
	int64_t ret;

	/* A handle sees the same file; it matters where O_PATH descriptors are stale, on NFS. */
	if (body->getattr_flags & FUSE_GETATTR_FH && req->inode->fd >= 0 && req->inode->remote)
		handle = handle_get(req->fs, body->fh, req->inode);
	ret = reply_attr(req, handle && handle->fd >= 0 ? handle->fd : req->inode->fd);
	handle_put(req->fs, handle);
	return ret;
}

/* Before the mode becomes @mode. */
static void prepare_mode(const struct request *req, uint32_t mode)
{
	/* An open file stays readable and writable whatever its mode becomes; but one that is to be
	 * run must not be held open for writing (ETXTBSY). */
	if (req->fs->zero_open && S_ISREG(req->inode->type)) {
		if (!(mode & S_IRUSR))
			data_hold(req->fs, req->inode, false);
		if (mode & 0111)
			data_drop_writable(req->fs, req->inode);
		else if (!(mode & S_IWUSR))
			data_hold(req->fs, req->inode, true);
	}
}

/* Bits that the guest does not see stay as they are. */
static uint32_t keep_masked(const struct request *req, uint32_t mode)
{
	uint32_t mask = mode_mask(inode_share(req->fs, req->inode), req->inode->type);
	struct statx stx;

	if (!mask ||
	    statx(req->inode->fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_MODE, &stx))
		return mode;
	return (mode & ~mask) | (stx.stx_mode & mask);
}

static int set_mode(const struct request *req, uint32_t mode)
{
	int ret;

	if (S_ISLNK(req->inode->type))
		return -EOPNOTSUPP;
	mode = keep_masked(req, mode);
	prepare_mode(req, mode);
	if (mode & S_ISGID)
		capability_fsetid(req->fs, true);
	ret = fchmodat(req->fs->proc_fd, fd_name(req->inode->fd).text, mode & 07777, 0) ? -errno
											: 0;
	if (mode & S_ISGID)
		capability_fsetid(req->fs, false);
	return ret;
}

void privileges_drop(const struct fs *fs, int fd)
{
	struct stat st;
	mode_t kept;

	if (fstat(fd, &st))
		return;
	kept = st.st_mode & 07777 & ~(mode_t)S_ISUID;
	if (st.st_mode & S_IXGRP)
		kept &= ~(mode_t)S_ISGID;
	if (kept != (st.st_mode & 07777) && fchmodat(fs->proc_fd, fd_name(fd).text, kept, 0))
		log_debug("privilege bits stay: %s", strerror(errno));
	if (!fs->config.no_xattr)
		(void)removexattr(fd_name(fd).text, "security.capability");
}

static int set_owner(const struct request *req, const struct fuse_setattr_in *body)
{
	const struct share *share = inode_share(req->fs, req->inode);
	uid_t uid = body->valid & FATTR_UID ? host_uid(req->fs, share, body->uid) : (uid_t)-1;
	gid_t gid = body->valid & FATTR_GID ? host_gid(req->fs, share, body->gid) : (gid_t)-1;

	/* The server's own ids belong to the share's owner: given to another they would come back
	 * as the owner's. */
	if (share->owner.active &&
	    ((body->valid & FATTR_UID && body->uid == req->fs->euid && uid != share->owner.uid) ||
	     (body->valid & FATTR_GID && body->gid == req->fs->egid && gid != share->owner.gid)))
		return -EPERM;
	if (fchownat(req->inode->fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return errno == EINVAL ? -EPERM : -errno; /* EINVAL: not in the user namespace */
	return 0;
}

static int set_size(const struct request *req, const struct fuse_setattr_in *body)
{
	struct handle *handle = NULL;
	int ret;

	if (!S_ISREG(req->inode->type))
		return S_ISDIR(req->inode->type) ? -EISDIR : -EINVAL;
	if (body->size > INT64_MAX)
		return -EINVAL;
	if (req->fs->zero_open)
		data_get(req->fs, req->inode, true, true, &handle);
	else if (body->valid & FATTR_FH)
		handle = handle_get(req->fs, body->fh, req->inode);
	if (handle && handle->writable)
		ret = ftruncate(handle->fd, (off_t)body->size);
	else
		ret = truncate(fd_name(req->inode->fd).text, (off_t)body->size);
	ret = ret ? -errno : 0;
	handle_put(req->fs, handle);
	return ret;
}

static int set_times(const struct request *req, const struct fuse_setattr_in *body)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT } };

	if (body->atimensec >= 1000000000 || body->mtimensec >= 1000000000)
		return -EINVAL;
	if (body->valid & FATTR_ATIME_NOW)
		times[0].tv_nsec = UTIME_NOW;
	else if (body->valid & FATTR_ATIME)
		times[0] = (struct timespec){ (time_t)body->atime, body->atimensec };
	if (body->valid & FATTR_MTIME_NOW)
		times[1].tv_nsec = UTIME_NOW;
	else if (body->valid & FATTR_MTIME)
		times[1] = (struct timespec){ (time_t)body->mtime, body->mtimensec };
	return utimensat(req->fs->proc_fd, fd_name(req->inode->fd).text, times, 0) ? -errno : 0;
}

/* Owners and modes of a share that keeps them. */
static int set_kept(const struct request *req, const struct fuse_setattr_in *body)
{
	struct fuse_setattr_in masked = *body;

	if (body->valid & FATTR_MODE) {
		masked.mode = keep_masked(req, body->mode);
		prepare_mode(req, masked.mode);
	}
	return kept_setattr(req, &masked);
}

int64_t op_setattr(struct request *req)
{
	const struct fuse_setattr_in *body = request_body(req, fuse_setattr_in);
	bool kept = kept_active(req->fs, inode_share(req->fs, req->inode));
	int ret = 0;

	if (kept && body->valid & (FATTR_UID | FATTR_GID | FATTR_MODE | FATTR_KILL_SUIDGID))
		ret = set_kept(req, body);
	/* In the order of chown(2) and chmod(2) in one: chown clears bits that chmod then sets. */
	if (!kept && body->valid & (FATTR_UID | FATTR_GID))
		ret = set_owner(req, body);
	if (!kept && !ret && body->valid & FATTR_MODE)
		ret = set_mode(req, body->mode);
	if (!ret && body->valid & FATTR_SIZE)
		ret = set_size(req, body);
	if (!ret && body->valid & (FATTR_ATIME | FATTR_MTIME)) {
		dax_settle_times(req->fs->dax, req->inode);
		ret = set_times(req, body);
	}
	return ret ? ret : reply_attr(req, req->inode->fd);
}

int64_t op_statfs(struct request *req)
{
	struct fuse_statfs_out *out = (struct fuse_statfs_out *)req->scratch->reply;
	struct statfs st = { .f_bsize = 4096, .f_namelen = SHARE_NAME_MAX, .f_frsize = 4096 };

	if (req->inode->fd >= 0 && fstatfs(req->inode->fd, &st))
		return -errno;
	*out = (struct fuse_statfs_out){ .st = {
						 .blocks = st.f_blocks,
						 .bfree = st.f_bfree,
						 .bavail = st.f_bavail,
						 .files = st.f_files,
						 .ffree = st.f_ffree,
						 .bsize = (uint32_t)st.f_bsize,
						 .namelen = (uint32_t)st.f_namelen,
						 .frsize = (uint32_t)st.f_frsize,
					 } };
	return sizeof(*out);
}
