// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Open folders. An open folder reads entries ahead of the guest's small requests (one page each
 * from Linux up to 6.10), so that most of them cost no system call.
 */
#include "shared-fs/server/dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared-fs/server/kept.h"
#include "shared-fs/server/ops.h"

#define STREAM_SIZE 16384
#define STREAMS_MAX 128 /* a guest may open a hundred thousand folders: no memory for each */

struct dir_stream {
	pthread_mutex_t lock;
	uint64_t next; /* the offset (d_off) that the entry at pos continues from */
	uint32_t pos;
	uint32_t len;
	uint8_t *entries; /* what getdents64(2) gave, NULL where there are STREAMS_MAX already */
};

/* struct linux_dirent64 of getdents64(2), which no header has */
struct host_dirent {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

void dir_stream_free(struct fs *fs, struct dir_stream *stream)
{
	if (!stream)
		return;
	if (stream->entries) {
		free(stream->entries);
		__atomic_sub_fetch(&fs->n_streams, 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_destroy(&stream->lock);
	free(stream);
}

static struct dir_stream *stream_of(struct fs *fs, struct handle *handle)
{
	struct dir_stream *stream = __atomic_load_n(&handle->stream, __ATOMIC_ACQUIRE);
	struct dir_stream *other = NULL;

	if (stream)
		return stream;
	stream = calloc(1, sizeof(*stream));
	if (!stream)
		return NULL;
	pthread_mutex_init(&stream->lock, NULL);
	if (__atomic_add_fetch(&fs->n_streams, 1, __ATOMIC_RELAXED) <= STREAMS_MAX)
		stream->entries = malloc(STREAM_SIZE);
	if (!stream->entries)
		__atomic_sub_fetch(&fs->n_streams, 1, __ATOMIC_RELAXED);
	if (__atomic_compare_exchange_n(&handle->stream, &other, stream, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return stream;
	dir_stream_free(fs, stream);
	return other;
}

int64_t op_opendir(struct request *req)
{
	struct fuse_open_out *out = (struct fuse_open_out *)req->scratch->reply;
	struct handle *handle;
	uint32_t flags = 0;
	int fd = -1;
	int ret;

	if (!S_ISDIR(req->inode->type))
		return -ENOTDIR;
	if (req->reply_room < sizeof(*out))
		return -EINVAL;
	if (req->inode->fd >= 0) {
		ret = fd_charge(req->fs, 1);
		if (ret)
			return ret;
		fd = openat(req->inode->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0) {
			ret = -errno;
			fd_uncharge(req->fs, 1);
			return ret;
		}
		if (cache_is_good(req->fs, req->inode, fd))
			flags |= FOPEN_KEEP_CACHE;
	}
	ret = handle_new(req->fs, req->inode, fd, true, &handle);
	if (ret)
		return ret;
	journal_opened(req->journal, slot_id(&handle->slot));
	/* Linux goes on in what another program has filled its cache with since, which may lack
	 * what was there when this one opened the folder: one fills it at a time. */
	if (fd >= 0 && req->fs->config.cache != CACHE_NEVER && handle_lists_alone(req->fs, handle))
		flags |= FOPEN_CACHE_DIR;
	*out = (struct fuse_open_out){ .fh = slot_id(&handle->slot), .open_flags = flags };
	return sizeof(*out);
}

int64_t op_releasedir(struct request *req)
{
	const struct fuse_release_in *body = request_body(req, fuse_release_in);
	int ret;

	ret = handle_release(req->fs, body->fh, req->inode);
	return req->again && ret == -EBADF ? 0 : ret;
}

int dir_get(const struct request *req, uint64_t fh, struct handle **ret_handle)
{
	if (!S_ISDIR(req->inode->type))
		return -ENOTDIR;
	*ret_handle = handle_get(req->fs, fh, req->inode);
	return *ret_handle ? 0 : -EBADF;
}

int64_t op_fsyncdir(struct request *req)
{
	const struct fuse_fsync_in *body = request_body(req, fuse_fsync_in);
	struct handle *handle;
	int ret = dir_get(req, body->fh, &handle);

	if (ret)
		return ret;
	if (handle->fd >= 0 && fsync(handle->fd))
		ret = -errno;
	handle_put(req->fs, handle);
	return ret;
}

/* Where the entries go. */
struct listing {
	struct request *req;
	bool plus;
	uint32_t room;
	uint32_t len;
};

static bool is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* False where there is no room for it. An entry whose file cannot be had now is listed all the
 * same, with nodeid 0: the guest asks again when it wants it. */
static bool list_entry(struct listing *list, const char *name, uint64_t ino, uint64_t off,
		       uint8_t type)
{
	struct fs *fs = list->req->fs;
	size_t head = list->plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
	size_t name_len = strlen(name);
	size_t size = FUSE_REC_ALIGN(head + name_len);
	uint8_t *place = list->req->scratch->reply + list->len;
	struct fuse_dirent *dirent;

	if (size > list->room - list->len)
		return false;
	memset(place, 0, head);
	if (list->plus) {
		struct fuse_direntplus *plus = (struct fuse_direntplus *)place;
		struct inode *inode;
		struct statx stx;

		if (!is_dots(name) && !entry_find(fs, list->req->inode, name, &inode, &stx)) {
			journal_grant(list->req->journal, slot_id(&inode->slot));
			entry_fill(fs, inode, &stx, &plus->entry_out);
			ino = inode->shown_ino;
			type = IFTODT(plus->entry_out.attr.mode);
			inode_put(fs, inode);
		}
		dirent = &plus->dirent;
	} else {
		dirent = (struct fuse_dirent *)place;
	}
	dirent->ino = ino;
	dirent->off = off;
	dirent->namelen = (uint32_t)name_len;
	dirent->type = type;
	memcpy(place + head, name, name_len);
	memset(place + head + name_len, 0, size - head - name_len);
	list->len += (uint32_t)size;
	return true;
}

static int64_t list_shares(struct listing *list, uint64_t offset)
{
	static const char *const dots[] = { ".", ".." };
	struct fs *fs = list->req->fs;

	for (uint64_t i = offset; i < 2 + SHARES_MAX; i++) {
		char name[SHARE_NAME_MAX + 1];

		if (i < 2) {
			strcpy(name, dots[i]);
		} else {
			const struct share *share = &fs->shares[i - 2];
			bool shown;

			pthread_mutex_lock(&fs->lock);
			shown = share->used && !share->removed;
			memcpy(name, share->name, sizeof(name));
			pthread_mutex_unlock(&fs->lock);
			if (!shown)
				continue;
		}
		if (!list_entry(list, name, i < 2 ? ROOT_NODEID : UINT32_MAX - i, i + 1, DT_DIR))
			break;
	}
	return list->len;
}

/* A file of the host may stand for a device: only its attributes tell. */
static uint8_t type_of(const struct request *req, uint8_t type)
{
	return type == DT_REG && kept_active(req->fs, inode_share(req->fs, req->inode)) ? DT_UNKNOWN
											: type;
}

/* Lists out of @entries from *pos on, until all is listed or the room is full. */
static void list_some(struct listing *list, const uint8_t *entries, uint32_t *pos, uint32_t len,
		      uint64_t *next)
{
	const struct inode *dir = list->req->inode;

	while (*pos < len) {
		const struct host_dirent *entry = (const void *)(entries + *pos);
		uint64_t ino = shown_ino(list->req->fs, dir->share, dir->dev, entry->ino);

		if (!list_entry(list, entry->name, ino, (uint64_t)entry->off,
				type_of(list->req, entry->type)))
			return;
		*next = (uint64_t)entry->off;
		*pos += entry->reclen;
	}
}

static int64_t list_folder(struct listing *list, int fd, struct dir_stream *stream, uint64_t offset)
{
	bool own = stream->entries;
	uint8_t *entries = own ? stream->entries : list->req->scratch->entries;
	uint32_t size = own ? STREAM_SIZE : (uint32_t)sizeof(list->req->scratch->entries);

	if (!own)
		stream->len = 0;
	if (offset != stream->next || !own) {
		if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
			return -errno;
		stream->next = offset;
		stream->pos = 0;
		stream->len = 0;
	}
	for (;;) {
		ssize_t got;

		list_some(list, entries, &stream->pos, stream->len, &stream->next);
		if (stream->pos < stream->len || (list->len && list->room - list->len < 512))
			break;
		got = syscall(SYS_getdents64, fd, entries, size);
		if (got < 0 && !list->len)
			return -errno;
		if (got <= 0)
			break;
		stream->pos = 0;
		stream->len = (uint32_t)got;
	}
	/* Not one entry: the room is smaller than an entry, or the end. */
	return !list->len && stream->pos < stream->len ? -EINVAL : (int64_t)list->len;
}

static int64_t list(struct request *req, bool plus)
{
	const struct fuse_read_in *body = request_body(req, fuse_read_in);
	struct listing listing = { .req = req, .plus = plus, .room = REQUEST_REPLY_MAX };
	struct dir_stream *stream;
	struct handle *handle;
	int64_t ret;

	if (body->size < listing.room)
		listing.room = body->size;
	if (req->reply_room < listing.room)
		listing.room = req->reply_room;
	if (req->inode->fd < 0)
		return list_shares(&listing, body->offset);
	ret = dir_get(req, body->fh, &handle);
	if (ret)
		return ret;
	stream = stream_of(req->fs, handle);
	if (!stream) {
		ret = -ENOMEM;
		goto out;
	}
	pthread_mutex_lock(&stream->lock);
	ret = list_folder(&listing, handle->fd, stream, body->offset);
	pthread_mutex_unlock(&stream->lock);
out:
	handle_put(req->fs, handle);
	return ret;
}

int64_t op_readdir(struct request *req)
{
	return list(req, false);
}

int64_t op_readdirplus(struct request *req)
{
	return list(req, true);
}
