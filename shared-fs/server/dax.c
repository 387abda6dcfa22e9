// SPDX-License-Identifier: GPL-2.0-or-later
/* Mappings of files in the guest's DAX window, by way of the front end. */
#include "shared-fs/server/dax.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <lodge/vhost_user.h>

#include "protocol/lib/fd.h"
#include "shared-fs/server/kept.h"
#include "shared-fs/server/ops.h"
#include "shared-fs/server/watch.h"
#include "shared-fs/server/shared.h"

#define ANSWER_TIMEOUT_S 5
#define LATE_ANSWER_MS	 500 /* to a server that died meanwhile */
#define GUEST_PAGE	 4096 /* bytes, of x86 */

struct dax_slot {
	uint16_t share; /* of the file; NO_SHARE: nothing is mapped, and the rest is void */
	bool writable;
	int fd; /* of the file, our own */
	uint64_t file_offset;
	uint64_t inode_id; /* slot_id() */
};

struct dax {
	pthread_mutex_t lock; /* over all that follows */
	int channel; /* -1: none, or it broke */
	bool awaits; /* an answer is to come */
	bool inherited; /* the front end may have mappings that another server asked for */
	struct log_ratelimit log_limit;
	uint64_t addr; /* guest physical, of the window; 0: not known */
	uint64_t size; /* constant */
	size_t n_writable; /* slots; atomic for those who look whether there are any */
	size_t n_slots;
	struct dax_slot slots[];
};

int dax_create(uint64_t size, struct dax **ret_dax)
{
	size_t n_slots = size / DAX_SLOT_SIZE;
	struct dax *dax;

	if (!size || size % DAX_SLOT_SIZE || size > DAX_SIZE_MAX)
		return -EINVAL;
	dax = shared_alloc(sizeof(*dax) + n_slots * sizeof(dax->slots[0]));
	if (!dax)
		return -ENOMEM;
	pthread_mutex_init(&dax->lock, NULL);
	dax->channel = -1;
	dax->size = size;
	dax->n_slots = n_slots;
	for (size_t i = 0; i < n_slots; i++)
		dax->slots[i].share = NO_SHARE;
	*ret_dax = dax;
	return 0;
}

uint64_t dax_size(const struct dax *dax)
{
	return dax ? dax->size : 0;
}

/* ---- the channel; under lock ---- */

static int channel_broke(struct dax *dax, int error)
{
	if (dax->channel >= 0 && error != -EPIPE && error != -ECONNRESET)
		log_ratelimited(&dax->log_limit, LOG_LEVEL_ERROR,
				"the front end's channel for mappings is given up: %s",
				strerror(-error));
	fd_close(&dax->channel);
	return -EIO;
}

/* Exactly @len bytes; descriptors that nobody asked for are closed. */
static int receive(int socket, void *data, size_t len)
{
	size_t have = 0;

	while (have < len) {
		int fds[FD_PASS_MAX];
		size_t n_fds;
		ssize_t got = fd_recv(socket, (uint8_t *)data + have, len - have, fds, &n_fds);

		if (got <= 0)
			return got ? (int)got : -ECONNRESET;
		have += (size_t)got;
		for (size_t i = 0; i < n_fds; i++)
			close(fds[i]);
	}
	return 0;
}

/* The answer: 0, -EIO for a refusal, another error where the channel is of no use any more. */
static int take_ack(struct dax *dax, uint32_t request)
{
	struct vhost_user_header header;
	uint64_t status;
	int ret;

	ret = receive(dax->channel, &header, sizeof(header));
	if (!ret && (header.request != request || header.size != sizeof(status) ||
		     (header.flags & (VHOST_USER_VERSION_MASK | VHOST_USER_FLAG_REPLY)) !=
			     (VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY)))
		ret = -EPROTO;
	if (!ret)
		ret = receive(dax->channel, &status, sizeof(status));
	if (ret)
		return channel_broke(dax, ret);
	return status ? -EIO : 0;
}

static int send_request(struct dax *dax, uint32_t request, const struct vhost_user_mmap *mmap,
			int fd)
{
	bool wants_ack = request == VHOST_USER_BACKEND_SHMEM_MAP;
	const struct vhost_user_header header = {
		request, VHOST_USER_VERSION | (wants_ack ? VHOST_USER_FLAG_NEED_REPLY : 0),
		sizeof(*mmap)
	};
	uint8_t bytes[sizeof(header) + sizeof(*mmap)];
	int ret;

	if (dax->channel < 0)
		return -EIO;
	__atomic_store_n(&dax->awaits, wants_ack, __ATOMIC_RELEASE);
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), mmap, sizeof(*mmap));
	ret = fd_send(dax->channel, bytes, sizeof(bytes), &fd, fd >= 0);
	if (ret)
		return channel_broke(dax, ret);
	ret = wants_ack ? take_ack(dax, request) : 0;
	__atomic_store_n(&dax->awaits, false, __ATOMIC_RELEASE);
	return ret;
}

static bool is_writable(const struct dax_slot *slot)
{
	return slot->share != NO_SHARE && slot->writable;
}

static void count_writable(struct dax *dax, int change)
{
	__atomic_store_n(&dax->n_writable, dax->n_writable + (size_t)change, __ATOMIC_RELAXED);
}

/* Mappings of a server of which nothing is left: the guest has gone on using them. */
static void drop_inherited(struct dax *dax)
{
	const struct vhost_user_mmap all = { .shmid = DAX_SHMID, .len = dax->size };

	if (dax->inherited)
		(void)send_request(dax, VHOST_USER_BACKEND_SHMEM_UNMAP, &all, -1);
	dax->inherited = false;
}

static void unmap(struct dax *dax, size_t slot)
{
	const struct vhost_user_mmap mmap = { .shmid = DAX_SHMID,
					      .shm_offset = slot * DAX_SLOT_SIZE,
					      .len = DAX_SLOT_SIZE };

	if (dax->slots[slot].share == NO_SHARE)
		return;
	count_writable(dax, -is_writable(&dax->slots[slot]));
	dax->slots[slot].share = NO_SHARE;
	close(dax->slots[slot].fd);
	(void)send_request(dax, VHOST_USER_BACKEND_SHMEM_UNMAP, &mmap, -1);
}

/* A server that dies in between leaves no descriptor in the slot that is another's by now. */
static void fill(struct dax_slot *slot, const struct dax_slot *with)
{
	int old = slot->share == NO_SHARE ? -1 : slot->fd;

	__atomic_store_n(&slot->share, NO_SHARE, __ATOMIC_RELEASE);
	slot->writable = with->writable;
	slot->fd = with->fd;
	slot->file_offset = with->file_offset;
	slot->inode_id = with->inode_id;
	__atomic_store_n(&slot->share, with->share, __ATOMIC_RELEASE);
	if (old >= 0)
		close(old);
}

static struct vhost_user_mmap mmap_of(size_t slot, uint64_t offset, bool writable)
{
	return (struct vhost_user_mmap){ .shmid = DAX_SHMID,
					 .fd_offset = offset,
					 .shm_offset = slot * DAX_SLOT_SIZE,
					 .len = DAX_SLOT_SIZE,
					 .flags = writable ? VHOST_USER_MMAP_WRITE : 0 };
}

static int map(struct dax *dax, size_t slot, int fd, uint64_t offset, bool writable,
	       const struct inode *inode)
{
	const struct vhost_user_mmap mmap = mmap_of(slot, offset, writable);
	bool replaces = dax->slots[slot].share != NO_SHARE;
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	int ret = own < 0 ? -errno : send_request(dax, VHOST_USER_BACKEND_SHMEM_MAP, &mmap, fd);

	/* lodge-vmm replaces a mapping in one step, so that a guest's reads go on while it asks to
	 * write; others may want it unmapped first. */
	if (ret && replaces && own >= 0) {
		unmap(dax, slot);
		ret = send_request(dax, VHOST_USER_BACKEND_SHMEM_MAP, &mmap, fd);
	}
	if (ret && own >= 0)
		close(own);
	if (ret)
		return ret;
	count_writable(dax, writable - is_writable(&dax->slots[slot]));
	fill(&dax->slots[slot],
	     &(struct dax_slot){ inode->share, writable, own, offset, slot_id(&inode->slot) });
	return 0;
}

/* ---- the front end comes and goes ---- */

static void forget(struct dax *dax)
{
	for (size_t i = 0; i < dax->n_slots; i++) {
		if (dax->slots[i].share != NO_SHARE)
			close(dax->slots[i].fd);
		dax->slots[i].share = NO_SHARE;
	}
	count_writable(dax, -(int)dax->n_writable);
	dax->addr = 0;
}

void dax_destroy(struct dax *dax)
{
	if (!dax)
		return;
	forget(dax);
	fd_close(&dax->channel);
	pthread_mutex_destroy(&dax->lock);
	shared_free(dax, sizeof(*dax) + dax->n_slots * sizeof(dax->slots[0]));
}

void dax_connect(struct dax *dax, int fd, bool inherits)
{
	struct timeval timeout = { .tv_sec = ANSWER_TIMEOUT_S };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	pthread_mutex_lock(&dax->lock);
	fd_close(&dax->channel);
	dax->channel = fd;
	dax->inherited = inherits;
	forget(dax);
	pthread_mutex_unlock(&dax->lock);
}

void dax_disconnect(struct dax *dax)
{
	if (!dax)
		return;
	pthread_mutex_lock(&dax->lock);
	fd_close(&dax->channel);
	forget(dax);
	pthread_mutex_unlock(&dax->lock);
}

void dax_recover(struct dax *dax)
{
	if (!dax)
		return;
	pthread_mutex_init(&dax->lock, NULL);
	/* Whether the request was sent at all is not known. It is made again in any case, and the
	 * next answer must be the one to it. */
	if (dax->awaits && dax->channel >= 0) {
		struct pollfd pfd = { .fd = dax->channel, .events = POLLIN };

		if (poll(&pfd, 1, LATE_ANSWER_MS) > 0)
			(void)take_ack(dax, VHOST_USER_BACKEND_SHMEM_MAP);
	}
	dax->awaits = false;
	dax->n_writable = 0;
	for (size_t i = 0; i < dax->n_slots; i++)
		dax->n_writable += is_writable(&dax->slots[i]);
}

void dax_each_fd(const struct dax *dax, void (*keep)(void *opaque, int fd), void *opaque)
{
	if (!dax)
		return;
	keep(opaque, dax->channel);
	for (size_t i = 0; i < dax->n_slots; i++) {
		if (dax->slots[i].share != NO_SHARE)
			keep(opaque, dax->slots[i].fd);
	}
}

bool dax_connected(struct dax *dax)
{
	bool connected;

	if (!dax)
		return false;
	pthread_mutex_lock(&dax->lock);
	connected = dax->channel >= 0;
	pthread_mutex_unlock(&dax->lock);
	return connected;
}

void dax_clear(struct dax *dax)
{
	if (!dax)
		return;
	pthread_mutex_lock(&dax->lock);
	for (size_t i = 0; i < dax->n_slots; i++)
		unmap(dax, i);
	drop_inherited(dax);
	pthread_mutex_unlock(&dax->lock);
}

void dax_drop_share(struct dax *dax, uint16_t share)
{
	if (!dax)
		return;
	pthread_mutex_lock(&dax->lock);
	for (size_t i = 0; i < dax->n_slots; i++) {
		if (dax->slots[i].share == share)
			unmap(dax, i);
	}
	/* Whose they are is not known: these might be of it. */
	if (dax->inherited) {
		for (size_t i = 0; i < dax->n_slots; i++)
			unmap(dax, i);
		drop_inherited(dax);
	}
	pthread_mutex_unlock(&dax->lock);
}

void dax_settle_times(struct dax *dax, const struct inode *inode)
{
	uint64_t id = slot_id(&inode->slot);

	if (!dax || !__atomic_load_n(&dax->n_writable, __ATOMIC_RELAXED))
		return;
	pthread_mutex_lock(&dax->lock);
	for (size_t i = 0; i < dax->n_slots; i++) {
		const struct dax_slot *slot = &dax->slots[i];
		const struct vhost_user_mmap mmap = mmap_of(i, slot->file_offset, true);

		/* The same again: the front end gives the file the time of what was stored. */
		if (is_writable(slot) && slot->inode_id == id)
			(void)send_request(dax, VHOST_USER_BACKEND_SHMEM_MAP, &mmap, slot->fd);
	}
	pthread_mutex_unlock(&dax->lock);
}

/* ---- the window as the guest's memory ---- */

void dax_place(struct dax *dax, uint64_t addr)
{
	pthread_mutex_lock(&dax->lock);
	dax->addr = addr;
	pthread_mutex_unlock(&dax->lock);
}

bool dax_find(struct dax *dax, uint64_t addr, uint64_t len, uint64_t *ret_offset)
{
	uint64_t base;

	if (!dax)
		return false;
	pthread_mutex_lock(&dax->lock);
	base = dax->addr;
	pthread_mutex_unlock(&dax->lock);
	*ret_offset = addr - base;
	return base && addr >= base && *ret_offset < dax->size && len <= dax->size - *ret_offset;
}

/* Under lock: a descriptor of our own of the file at @offset, -1: none; *@len is cut to the slot.
 */
static int file_at(const struct dax *dax, uint64_t offset, bool write, size_t *len,
		   off_t *ret_file_offset)
{
	const struct dax_slot *slot = &dax->slots[offset / DAX_SLOT_SIZE];
	uint64_t within = offset % DAX_SLOT_SIZE;

	if (*len > DAX_SLOT_SIZE - within)
		*len = DAX_SLOT_SIZE - within;
	if (slot->share == NO_SHARE || (write && !slot->writable))
		return -1;
	*ret_file_offset = (off_t)(slot->file_offset + within);
	return slot->fd;
}

void dax_read(struct dax *dax, uint64_t offset, void *bytes, size_t len)
{
	while (len) {
		struct iovec iov = { bytes, len };
		ssize_t got = 0;
		off_t at;
		int fd;

		pthread_mutex_lock(&dax->lock);
		fd = file_at(dax, offset, false, &iov.iov_len, &at);
		if (fd >= 0)
			got = preadv(fd, &iov, 1, at);
		pthread_mutex_unlock(&dax->lock);
		got = got < 0 ? 0 : got;
		memset((uint8_t *)bytes + got, 0, iov.iov_len - (size_t)got);
		offset += iov.iov_len;
		bytes = (uint8_t *)bytes + iov.iov_len;
		len -= iov.iov_len;
	}
}

/* No further than the file reaches: a store into a mapping does not make it longer. */
static void write_within(int fd, struct iovec iov, off_t at)
{
	struct stat st;

	if (fstat(fd, &st) || st.st_size <= at)
		return;
	if (iov.iov_len > (uint64_t)(st.st_size - at))
		iov.iov_len = (size_t)(st.st_size - at);
	if (pwritev(fd, &iov, 1, at) < 0)
		log_debug("a buffer in a mapped file: %s", strerror(errno));
}

void dax_write(struct dax *dax, uint64_t offset, const void *bytes, size_t len)
{
	while (len) {
		struct iovec iov = { (void *)(uintptr_t)bytes, len };
		off_t at;
		int fd;

		pthread_mutex_lock(&dax->lock);
		fd = file_at(dax, offset, true, &iov.iov_len, &at);
		if (fd >= 0)
			write_within(fd, iov, at);
		pthread_mutex_unlock(&dax->lock);
		offset += iov.iov_len;
		bytes = (const uint8_t *)bytes + iov.iov_len;
		len -= iov.iov_len;
	}
}

/* ---- requests ---- */

uint32_t dax_attr_flags(const struct fs *fs, const struct share *share, const struct statx *stx)
{
	/* Small pages cost the guest a fault each: a file that is read once is faster by READ. */
	if (fs->config.dax_auto && !share->large_pages)
		return 0;
	/* A guest's store into a mapping drops no privilege bits; its WRITE does. */
	if (!(fs->features & FUSE_HAS_INODE_DAX) || !S_ISREG(stx->stx_mode) ||
	    stx->stx_mode & (S_ISUID | S_ISGID) || stx->stx_size < DAX_FILE_MIN)
		return 0;
	return FUSE_ATTR_DAX;
}

uint32_t dax_block_size(const struct fs *fs, const struct statx *stx)
{
	return fs->features & FUSE_MAP_ALIGNMENT && S_ISREG(stx->stx_mode) ? GUEST_PAGE
									   : stx->stx_blksize;
}

/* What write(2) does beside writing: the guest is about to store into the file, and no later store
 * of it is seen by anybody. Best effort, as it is none of the guest's business to wait for. */
static void note_write(const struct request *req, int fd)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_NOW } };

	(void)futimens(fd, times);
	privileges_drop(req->fs, fd);
	kept_drop_privileges(req);
}

static void note_mapping(const struct request *req, int fd)
{
	const struct share *share = inode_share(req->fs, req->inode);
	struct fs *fs = req->fs;
	struct statx stx;

	if (!__atomic_load_n(&fs->maps_all, __ATOMIC_RELAXED) &&
	    !statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) &&
	    !dax_attr_flags(fs, share, &stx))
		__atomic_store_n(&fs->maps_all, true, __ATOMIC_RELAXED);
}

static int check_range(const struct dax *dax, const struct fuse_setupmapping_in *body)
{
	uint64_t end;

	if (!body->len || (body->len | body->moffset | body->foffset) % DAX_SLOT_SIZE ||
	    body->moffset > dax->size || body->len > dax->size - body->moffset ||
	    __builtin_add_overflow(body->foffset, body->len, &end) || end > INT64_MAX ||
	    body->flags & ~(uint64_t)(FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE))
		return -EINVAL;
	return 0;
}

/* Linux names no open file: a mapping is the inode's (fh is all ones). */
static int get_file(const struct request *req, uint64_t fh, bool write, struct handle **ret_handle)
{
	int ret;

	if (!S_ISREG(req->inode->type))
		return -EINVAL;
	if (write && inode_share(req->fs, req->inode)->read_only)
		return -EROFS;
	ret = fh == UINT64_MAX ? data_get(req->fs, req->inode, write, false, ret_handle)
			       : file_get(req, fh, write, ret_handle);
	if (!ret && ((write && !(*ret_handle)->writable) || (*ret_handle)->unreadable)) {
		handle_put(req->fs, *ret_handle);
		return -EACCES;
	}
	return ret;
}

int64_t op_setupmapping(struct request *req)
{
	const struct fuse_setupmapping_in *body = request_body(req, fuse_setupmapping_in);
	bool write = body->flags & FUSE_SETUPMAPPING_FLAG_WRITE;
	struct dax *dax = req->fs->dax;
	struct handle *handle;
	int ret;

	if (!dax)
		return -ENOSYS;
	ret = check_range(dax, body);
	if (!ret)
		ret = get_file(req, body->fh, write, &handle);
	if (ret)
		return ret;
	note_mapping(req, handle->fd);
	if (write) {
		note_write(req, handle->fd);
		ret = file_fill_holes(handle->fd, body->foffset, body->len);
		watch_own_change(req->fs, req->inode);
	}
	pthread_mutex_lock(&dax->lock);
	/* Before it is said, dax_drop_share() is still to come; afterwards it has been. */
	if (!ret && share_is_removed(req->fs, req->inode))
		ret = -ESTALE;
	for (uint64_t at = 0; at < body->len && !ret; at += DAX_SLOT_SIZE)
		ret = map(dax, (body->moffset + at) / DAX_SLOT_SIZE, handle->fd, body->foffset + at,
			  write, req->inode);
	pthread_mutex_unlock(&dax->lock);
	handle_put(req->fs, handle);
	return ret;
}

/* Under lock. */
static int remove_range(struct dax *dax, const struct fuse_removemapping_one *one)
{
	if ((one->moffset | one->len) % DAX_SLOT_SIZE || one->moffset > dax->size ||
	    one->len > dax->size - one->moffset)
		return -EINVAL;
	for (uint64_t at = 0; at < one->len; at += DAX_SLOT_SIZE)
		unmap(dax, (one->moffset + at) / DAX_SLOT_SIZE);
	return 0;
}

int64_t op_removemapping(struct request *req)
{
	const struct fuse_removemapping_in *body = request_body(req, fuse_removemapping_in);
	/* Behind four bytes: not where a struct of its kind may lie. */
	const uint8_t *list = (const uint8_t *)(body + 1);
	size_t n = (req->body_len - sizeof(*body)) / sizeof(struct fuse_removemapping_one);
	struct dax *dax = req->fs->dax;
	int ret = 0;

	if (!dax)
		return -ENOSYS;
	if (body->count > n)
		return -EINVAL;
	pthread_mutex_lock(&dax->lock);
	for (size_t i = 0; i < body->count && !ret; i++) {
		struct fuse_removemapping_one one;

		memcpy(&one, list + i * sizeof(one), sizeof(one));
		ret = remove_range(dax, &one);
	}
	pthread_mutex_unlock(&dax->lock);
	return ret;
}
