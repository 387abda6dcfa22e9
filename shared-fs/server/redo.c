// SPDX-License-Identifier: GPL-2.0-or-later
/* What became of a request whose server died. */
#include "shared-fs/server/redo.h"

#include <fcntl.h>
#include <unistd.h>

#include "shared-fs/server/ops.h"

/* Some file systems count whole seconds. */
static bool since_begin(const struct request *req, const struct statx_timestamp *time)
{
	uint64_t began = req->journal->began;

	if (!time->tv_nsec)
		return (uint64_t)time->tv_sec >= began / 1000000000;
	return (uint64_t)time->tv_sec * 1000000000 + time->tv_nsec >= began;
}

/* Where nobody has noted when it began, or by a clock that is not ours, a file server's: what could
 * have been done counts as done. */
static bool has_our_clock(const struct request *req)
{
	return req->journal && !req->inode->remote;
}

static bool born_since_begin(const struct request *req, const struct statx *stx)
{
	if (!has_our_clock(req))
		return true;
	return since_begin(req, stx->stx_mask & STATX_BTIME ? &stx->stx_btime : &stx->stx_ctime);
}

static bool look(const struct inode *dir, const char *name, struct statx *ret_stx)
{
	return !statx(dir->fd, name, AT_SYMLINK_NOFOLLOW, STATX_WANTED | STATX_BTIME, ret_stx);
}

bool redo_made(const struct request *req, const char *name, uint32_t type)
{
	struct statx stx;

	return req->again && look(req->inode, name, &stx) && (stx.stx_mode & S_IFMT) == type &&
	       born_since_begin(req, &stx);
}

bool redo_unmade(const struct request *req, const char *name)
{
	struct statx stx;

	/* Nobody was told of it, so nobody has written to it. */
	return req->again && look(req->inode, name, &stx) && S_ISREG(stx.stx_mode) &&
	       !stx.stx_size && stx.stx_nlink == 1 && born_since_begin(req, &stx) &&
	       !unlinkat(req->inode->fd, name, 0);
}

bool redo_linked(const struct request *req, const char *name, const struct inode *inode)
{
	struct statx stx;

	return req->again && look(req->inode, name, &stx) && stx.stx_ino == inode->ino &&
	       stx_dev(&stx) == inode->dev;
}

bool redo_removed(const struct request *req)
{
	struct statx stx;

	if (!req->again || statx(req->inode->fd, "", AT_EMPTY_PATH, STATX_MTIME, &stx))
		return false;
	return !has_our_clock(req) || since_begin(req, &stx.stx_mtime);
}

bool redo_moved(const struct request *req, const struct inode *to, const char *name)
{
	struct statx stx;

	return redo_removed(req) && look(to, name, &stx);
}

bool redo_exchanged(const struct request *req, const char *name)
{
	struct statx stx;

	if (!req->journal || !look(req->inode, name, &stx))
		return false;
	if (req->again && req->journal->noted)
		return stx.stx_ino != req->journal->notes[0] ||
		       stx_dev(&stx) != req->journal->notes[1];
	journal_note(req->journal, stx.stx_ino, stx_dev(&stx));
	return false;
}

bool redo_changed(const struct request *req)
{
	struct statx stx;

	if (!req->again ||
	    statx(req->inode->fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_CTIME, &stx))
		return false;
	return !has_our_clock(req) || since_begin(req, &stx.stx_ctime);
}

size_t redo_appended(const struct request *req, int fd, size_t len)
{
	struct stat st;
	uint64_t size;

	if (!req->journal || fstat(fd, &st))
		return 0;
	size = (uint64_t)st.st_size;
	if (!req->again || !req->journal->noted) {
		journal_note(req->journal, size, 0);
		return 0;
	}
	if (size <= req->journal->notes[0])
		return 0;
	size -= req->journal->notes[0];
	return size < len ? (size_t)size : len;
}
