// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Open folders. An open folder reads entries ahead of the guest's small requests (one page each
 * from Linux up to 6.10), so that most of them cost no system call.
 */
#include "shared-fs/server/dir.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared-fs/server/kept.h"
#include "shared-fs/server/ops.h"

#define STREAM_SIZE 16384
#define SLACK	    sizeof(uint64_t) /* behind what copy_name() reads and writes */
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
		stream->entries = malloc(STREAM_SIZE + SLACK);
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
	size_t head; /* bytes of an entry before its name */
	bool hides_types; /* a file of the host may stand for a device: only its attributes tell */
	uint32_t room;
	uint32_t len;
};

/*
 * Returns the name's length. Goes by words of 8 bytes, and zeroes what is behind the name in its
 * last one: most names are one or two words, for which calls of strlen(3), memcpy(3) and memset(3)
 * are half of the work that a listing is.
 */
static uint32_t copy_name(uint8_t *to, const char *from)
{
	const uint64_t ones = 0x0101010101010101;
	uint64_t word, ends;
	uint32_t len, n;

	for (len = 0;; len += sizeof(word)) {
		memcpy(&word, from + len, sizeof(word));
		word = le64toh(word);
		ends = (word - ones) & ~word & ones << 7; /* its lowest bit is in the first NUL */
		if (ends)
			break;
		word = htole64(word);
		memcpy(to + len, &word, sizeof(word));
	}
	n = (uint32_t)__builtin_ctzll(ends) / 8;
	word = htole64(word & ((1ULL << 8 * n) - 1));
	memcpy(to + len, &word, sizeof(word));
	return len + n;
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* What READDIRPLUS tells beside the name. */
static void fill_plus(struct listing *list, const char *name, struct fuse_direntplus *plus)
{
	struct fs *fs = list->req->fs;
	struct inode *inode;
	struct statx stx;

	memset(&plus->entry_out, 0, sizeof(plus->entry_out));
	if (is_dots(name) || entry_find(fs, list->req->inode, name, &inode, &stx))
		return;
	journal_grant(list->req->journal, slot_id(&inode->slot));
	entry_fill(fs, inode, &stx, true, &plus->entry_out);
	plus->dirent.ino = inode->shown_ino;
	plus->dirent.type = IFTODT(plus->entry_out.attr.mode);
	inode_put(fs, inode);
}

/* False where there is no room for it. An entry whose file cannot be had now is listed all the
 * same, with nodeid 0: the guest asks again when it wants it. @name is in @name_room bytes, with
 * SLACK behind them. */
static bool list_entry(struct listing *list, const char *name, size_t name_room, uint64_t ino,
		       uint64_t off, uint8_t type)
{
	struct scratch *scratch = list->req->scratch;
	uint8_t *place = scratch->reply + list->len;
	struct fuse_dirent *dirent = (struct fuse_dirent *)(place + list->head - FUSE_NAME_OFFSET);
	uint32_t name_len, size;

	if (list->head + name_room + SLACK > sizeof(scratch->reply) - list->len)
		return false;
	name_len = copy_name(place + list->head, name);
	size = (uint32_t)FUSE_REC_ALIGN(list->head + name_len);
	if (size > list->room - list->len)
		return false;
	dirent->ino = ino;
	dirent->off = off;
	dirent->namelen = name_len;
	dirent->type = type;
	if (list->plus)
		fill_plus(list, name, (struct fuse_direntplus *)place);
	list->len += size;
	return true;
}

static int64_t list_shares(struct listing *list, uint64_t offset)
{
	static const char *const dots[] = { ".", ".." };
	struct fs *fs = list->req->fs;

	for (uint64_t i = offset; i < 2 + SHARES_MAX; i++) {
		char name[SHARE_NAME_MAX + 1 + SLACK] = "";

		if (i < 2) {
			strcpy(name, dots[i]);
		} else {
			const struct share *share = &fs->shares[i - 2];
			bool shown;

			pthread_mutex_lock(&fs->lock);
			shown = share->used && !share->removed;
			memcpy(name, share->name, sizeof(share->name));
			pthread_mutex_unlock(&fs->lock);
			if (!shown)
				continue;
		}
		if (!list_entry(list, name, SHARE_NAME_MAX + 1,
				i < 2 ? ROOT_NODEID : UINT32_MAX - i, i + 1, DT_DIR))
			break;
	}
	return list->len;
}

/* Lists out of @entries from *pos on, until all is listed or the room is full. */
static void list_some(struct listing *list, const uint8_t *entries, uint32_t *pos, uint32_t len,
		      uint64_t *next)
{
	const struct inode *dir = list->req->inode;
	uint32_t prefix = ino_prefix(list->req->fs, dir->share, dir->dev);

	while (*pos < len) {
		const struct host_dirent *entry = (const void *)(entries + *pos);
		uint64_t ino = entry->ino;
		bool hidden = list->hides_types && entry->type == DT_REG;

		if (prefix)
			ino = ino_with_prefix(prefix, dir->share, dir->dev, ino);
		if (!list_entry(list, entry->name, entry->reclen, ino, (uint64_t)entry->off,
				hidden ? DT_UNKNOWN : entry->type))
			return;
		*next = (uint64_t)entry->off;
		*pos += entry->reclen;
	}
}

static int64_t list_folder(struct listing *list, int fd, struct dir_stream *stream, uint64_t offset)
{
	bool own = stream->entries;
	uint8_t *entries = own ? stream->entries : list->req->scratch->entries;
	uint32_t size = own ? STREAM_SIZE : (uint32_t)(sizeof(list->req->scratch->entries) - SLACK);

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
	struct listing listing = { .req = req,
				   .plus = plus,
				   .head = plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET,
				   .room = REQUEST_REPLY_MAX };
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
	listing.hides_types = kept_active(req->fs, inode_share(req->fs, req->inode));
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
