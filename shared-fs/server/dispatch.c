// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From bytes of the guest to a handler and back: the one place where a request's header, size,
 * state and target are checked.
 */
#include "shared-fs/server/request.h"
#include "shared-fs/server/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define OP_ANY_TIME 0x01 /* also before INIT */
#define OP_NO_INODE 0x02 /* nodeid is not looked at, or by the handler itself */
#define OP_NO_REPLY 0x04
#define OP_MUTATES  0x08 /* refused on read-only shares */
#define OP_DEFER    0x10 /* may block for long */

#define OP_CHANGES 0x20 /* may change the inode, and sees to read-only shares itself */
#define OP_ROOT	   0x40 /* the synthetic root has it */
#define OP_DATA	   0x80 /* what follows the struct stays in the guest's memory */
#define OP_LOOKS   0x100 /* allowed on the root of a pseudo file system */

#define STRUCT(type) sizeof(struct type)

static const struct op {
	const char *name;
	fuse_handler handler;
	uint16_t min_body; /* bytes */
	uint16_t flags;
} ops[] = {
	[FUSE_LOOKUP] = { "LOOKUP", op_lookup, 1, OP_ROOT },
	[FUSE_FORGET] = { "FORGET", op_forget, STRUCT(fuse_forget_in), OP_NO_INODE | OP_NO_REPLY },
	[FUSE_GETATTR] = { "GETATTR", op_getattr, STRUCT(fuse_getattr_in), OP_ROOT | OP_LOOKS },
	[FUSE_SETATTR] = { "SETATTR", op_setattr, STRUCT(fuse_setattr_in), OP_MUTATES },
	[FUSE_READLINK] = { "READLINK", op_readlink, 0, 0 },
	[FUSE_SYMLINK] = { "SYMLINK", op_symlink, 2, OP_MUTATES },
	[FUSE_MKNOD] = { "MKNOD", op_mknod, STRUCT(fuse_mknod_in), OP_MUTATES },
	[FUSE_MKDIR] = { "MKDIR", op_mkdir, STRUCT(fuse_mkdir_in), OP_MUTATES },
	[FUSE_UNLINK] = { "UNLINK", op_unlink, 1, OP_MUTATES },
	[FUSE_RMDIR] = { "RMDIR", op_rmdir, 1, OP_MUTATES },
	[FUSE_RENAME] = { "RENAME", op_rename, STRUCT(fuse_rename_in), OP_MUTATES },
	[FUSE_LINK] = { "LINK", op_link, STRUCT(fuse_link_in), OP_MUTATES },
	[FUSE_OPEN] = { "OPEN", op_open, STRUCT(fuse_open_in), 0 },
	[FUSE_READ] = { "READ", op_read, STRUCT(fuse_read_in), 0 },
	[FUSE_WRITE] = { "WRITE", op_write, STRUCT(fuse_write_in), OP_MUTATES | OP_DATA },
	[FUSE_STATFS] = { "STATFS", op_statfs, 0, OP_ROOT | OP_LOOKS },
	[FUSE_RELEASE] = { "RELEASE", op_release, STRUCT(fuse_release_in), 0 },
	[FUSE_FSYNC] = { "FSYNC", op_fsync, STRUCT(fuse_fsync_in), OP_DEFER },
	[FUSE_SETXATTR] = { "SETXATTR", op_setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE, OP_MUTATES },
	[FUSE_GETXATTR] = { "GETXATTR", op_getxattr, STRUCT(fuse_getxattr_in), OP_ROOT | OP_LOOKS },
	[FUSE_LISTXATTR] = { "LISTXATTR", op_listxattr, STRUCT(fuse_getxattr_in),
			     OP_ROOT | OP_LOOKS },
	[FUSE_REMOVEXATTR] = { "REMOVEXATTR", op_removexattr, 1, OP_MUTATES },
	[FUSE_FLUSH] = { "FLUSH", op_flush, STRUCT(fuse_flush_in), 0 },
	[FUSE_INIT] = { "INIT", op_init, 16, OP_ANY_TIME | OP_NO_INODE },
	[FUSE_OPENDIR] = { "OPENDIR", op_opendir, STRUCT(fuse_open_in), OP_ROOT },
	[FUSE_READDIR] = { "READDIR", op_readdir, STRUCT(fuse_read_in), OP_ROOT },
	[FUSE_RELEASEDIR] = { "RELEASEDIR", op_releasedir, STRUCT(fuse_release_in), OP_ROOT },
	[FUSE_FSYNCDIR] = { "FSYNCDIR", op_fsyncdir, STRUCT(fuse_fsync_in), OP_DEFER | OP_ROOT },
	[FUSE_GETLK] = { "GETLK", op_getlk, STRUCT(fuse_lk_in), 0 },
	[FUSE_SETLK] = { "SETLK", op_setlk, STRUCT(fuse_lk_in), 0 },
	[FUSE_SETLKW] = { "SETLKW", op_setlkw, STRUCT(fuse_lk_in), OP_DEFER },
	[FUSE_CREATE] = { "CREATE", op_create, STRUCT(fuse_create_in), OP_MUTATES },
	[FUSE_INTERRUPT] = { "INTERRUPT", op_interrupt, STRUCT(fuse_interrupt_in),
			     OP_NO_INODE | OP_NO_REPLY },
	[FUSE_DESTROY] = { "DESTROY", op_destroy, 0, OP_NO_INODE },
	[FUSE_IOCTL] = { "IOCTL", op_ioctl, STRUCT(fuse_ioctl_in), OP_CHANGES },
	[FUSE_BATCH_FORGET] = { "BATCH_FORGET", op_batch_forget, STRUCT(fuse_batch_forget_in),
				OP_NO_INODE | OP_NO_REPLY },
	[FUSE_FALLOCATE] = { "FALLOCATE", op_fallocate, STRUCT(fuse_fallocate_in),
			     OP_MUTATES | OP_DEFER },
	[FUSE_READDIRPLUS] = { "READDIRPLUS", op_readdirplus, STRUCT(fuse_read_in), OP_ROOT },
	[FUSE_RENAME2] = { "RENAME2", op_rename2, STRUCT(fuse_rename2_in), OP_MUTATES },
	[FUSE_LSEEK] = { "LSEEK", op_lseek, STRUCT(fuse_lseek_in), 0 },
	[FUSE_COPY_FILE_RANGE] = { "COPY_FILE_RANGE", op_copy_file_range,
				   STRUCT(fuse_copy_file_range_in), OP_DEFER },
	[FUSE_SETUPMAPPING] = { "SETUPMAPPING", op_setupmapping, STRUCT(fuse_setupmapping_in), 0 },
	[FUSE_REMOVEMAPPING] = { "REMOVEMAPPING", op_removemapping, STRUCT(fuse_removemapping_in),
				 OP_NO_INODE },
	[FUSE_SYNCFS] = { "SYNCFS", op_syncfs, 8, OP_DEFER | OP_ROOT },
	[FUSE_TMPFILE] = { "TMPFILE", op_tmpfile, STRUCT(fuse_create_in), OP_MUTATES },
};

/* ACCESS, BMAP, POLL: the kernel asks once, hears ENOSYS and does without. */
static const struct op *find_op(uint32_t opcode)
{
	if (opcode >= sizeof(ops) / sizeof(ops[0]) || !ops[opcode].handler)
		return NULL;
	return &ops[opcode];
}

static int check_state(const struct request *req, const struct op *op)
{
	if (op->flags & OP_ANY_TIME)
		return 0;
	return __atomic_load_n(&req->fs->started, __ATOMIC_ACQUIRE) ? 0 : -EIO;
}

static int check_target(struct request *req, const struct op *op)
{
	const struct share *share;
	int ret;

	if (op->flags & OP_NO_INODE)
		return 0;
	ret = inode_get(req->fs, req->in.nodeid, &req->inode);
	if (ret)
		return ret;
	if (req->inode->pseudo && !(op->flags & OP_LOOKS))
		return -EACCES;
	share = inode_share(req->fs, req->inode);
	if (!share)
		return op->flags & OP_ROOT ? 0 : op->flags & OP_MUTATES ? -EROFS : -EINVAL;
	return op->flags & OP_MUTATES && share->read_only ? -EROFS : 0;
}

/* Copies the body, once; what the checks see is what the handler sees. */
static int take_body(struct request *req, const struct op *op, size_t out_len)
{
	size_t len = out_len - sizeof(req->in);

	if (req->in.len != out_len || len < op->min_body)
		return -EINVAL;
	if (op->flags & OP_DATA)
		len = op->min_body;
	if (len > REQUEST_BODY_MAX)
		return -E2BIG;
	guest_copy_from_iov(req->scratch->body, len, req->out, req->n_out);
	req->scratch->body[len] = 0;
	req->body = req->scratch->body;
	req->body_len = (uint32_t)len;
	if (op->flags & OP_DATA)
		iov_skip(&req->out, &req->n_out, len);
	return 0;
}

static uint32_t write_reply(struct request *req, int64_t result)
{
	struct fuse_out_header head = { .len = sizeof(head), .unique = req->in.unique };

	if (result < 0)
		head.error = (int32_t)result;
	else
		head.len += (uint32_t)result;
	guest_copy_to_iov(req->reply, req->n_reply, &head, sizeof(head));
	if (result > 0 && req->payload) {
		iov_skip(&req->reply, &req->n_reply, sizeof(head));
		guest_copy_to_iov(req->reply, req->n_reply, req->payload, (size_t)result);
	}
	return head.len;
}

static int64_t handle(struct request *req, const struct op *op)
{
	bool changes = op->flags & (OP_MUTATES | OP_CHANGES) && req->inode;
	int64_t result;

	if (changes)
		watch_own_begin(req->fs, req->inode);
	result = op->handler(req);
	if (changes)
		watch_own_end(req->fs, req->inode);
	return result;
}

static int64_t run(struct request *req, const struct op *op)
{
	int64_t result = check_state(req, op);

	if (!result)
		result = check_target(req, op);
	if (!result)
		result = handle(req, op);
	inode_put(req->fs, req->inode);
	req->inode = NULL;
	return result;
}

uint32_t fs_refuse(struct iovec *iov, size_t n_out, size_t n_in, int error)
{
	struct fuse_out_header head = { .len = sizeof(head), .error = error };
	struct fuse_in_header in;

	if (guest_copy_from_iov(&in, sizeof(in), iov, n_out) != sizeof(in))
		return 0;
	head.unique = in.unique;
	return guest_copy_to_iov(iov + n_out, n_in, &head, sizeof(head)) == sizeof(head) ? head.len
											 : 0;
}

/* Takes back what a reply that never arrived gave to the guest. One that is lost in a death between
 * the two steps stays granted, until the session ends. */
static void take_grants_back(struct fs *fs, struct journal *journal)
{
	struct handle *handle = NULL;

	while (journal->n_grants) {
		uint64_t nodeid = journal->grants[journal->n_grants - 1];

		__atomic_store_n(&journal->n_grants, journal->n_grants - 1, __ATOMIC_RELEASE);
		inode_forget(fs, nodeid, 1);
	}
	if (journal->handle)
		handle = handle_find(fs, journal->handle);
	__atomic_store_n(&journal->handle, 0, __ATOMIC_RELEASE);
	if (handle)
		handle_release(fs, slot_id(&handle->slot), handle->inode);
	handle_put(fs, handle);
}

static uint64_t coarse_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* What the journal alone can tell to be done already: an append, an exchange of two names. */
static bool needs_journal(const struct request *req)
{
	struct {
		struct fuse_in_header head;
		union {
			struct fuse_write_in write;
			struct fuse_rename2_in rename;
		};
	} body = { 0 };

	guest_copy_from_iov(&body, sizeof(body), req->out, req->n_out);
	return (req->in.opcode == FUSE_WRITE && body.write.flags & O_APPEND) ||
	       (req->in.opcode == FUSE_RENAME2 && body.rename.flags & ~RENAME_NOREPLACE);
}

/* Who waits for another machine keeps nobody else waiting, but threads for that have no journal. */
static bool is_remote(struct fs *fs, const struct request *req, const struct op *op)
{
	const struct inode *inode;
	bool remote;

	if (!__atomic_load_n(&fs->has_remote, __ATOMIC_ACQUIRE) || !op || op->flags & OP_NO_INODE ||
	    req->in.opcode == FUSE_SETUPMAPPING)
		return false;
	pthread_mutex_lock(&fs->lock);
	inode = slots_get(&fs->inodes, req->in.nodeid);
	remote = inode &&
		 (inode->remote || __atomic_load_n(&inode->holds_remote, __ATOMIC_ACQUIRE));
	pthread_mutex_unlock(&fs->lock);
	return remote && !needs_journal(req);
}

static enum request_result where_to_run(struct fs *fs, const struct request *req,
					const struct op *op)
{
	if (is_remote(fs, req, op))
		return REQUEST_DEFER_REMOTE;
	return op && op->flags & OP_DEFER ? REQUEST_DEFER : REQUEST_DONE;
}

/* False where it must not be run. */
static bool prepare_again(struct request *req, const struct op *op, const struct request_mode *mode)
{
	req->journal = mode->journal;
	req->again = mode->again;
	if (!mode->journal)
		return true;
	if (mode->again) {
		take_grants_back(req->fs, mode->journal);
		/* A FORGET that is lost costs an inode for the session's time, one that is done
		 * twice takes one from the guest. */
		return !op || !(op->flags & OP_NO_REPLY);
	}
	if (op && op->flags & OP_MUTATES)
		mode->journal->began = coarse_now();
	return true;
}

enum request_result fs_request_in_mode(struct request *req, struct fs *fs, struct scratch *scratch,
				       struct iovec *iov, size_t n_out, size_t out_len, size_t n_in,
				       size_t in_len, const struct request_mode *mode,
				       uint32_t *ret_written)
{
	enum request_result where;
	const struct op *op;
	int64_t result;

	*ret_written = 0;
	if (out_len < sizeof(req->in)) {
		log_ratelimited(&fs->bad_requests, LOG_LEVEL_WARN,
				"a request of %zu bytes is shorter than its header", out_len);
		return REQUEST_NO_REPLY;
	}
	*req = (struct request){ .fs = fs,
				 .scratch = scratch,
				 .out = iov,
				 .n_out = n_out,
				 .reply = iov + n_out,
				 .n_reply = n_in,
				 .epoch = mode->epoch,
				 .payload = scratch->reply };
	guest_copy_from_iov(&req->in, sizeof(req->in), req->out, req->n_out);
	op = find_op(req->in.opcode);
	if (!mode->may_block && (where = where_to_run(fs, req, op)) != REQUEST_DONE)
		return where;
	if (!prepare_again(req, op, mode))
		return REQUEST_NO_REPLY;
	iov_skip(&req->out, &req->n_out, sizeof(req->in));
	if (in_len < sizeof(struct fuse_out_header)) {
		if (!op || !(op->flags & OP_NO_REPLY)) {
			log_ratelimited(&fs->bad_requests, LOG_LEVEL_WARN,
					"request %u has no room for a reply", req->in.opcode);
			return REQUEST_NO_REPLY;
		}
	} else {
		req->reply_room = (uint32_t)(in_len - sizeof(struct fuse_out_header));
	}
	result = op ? take_body(req, op, out_len) : -ENOSYS;
	if (!result)
		result = run(req, op);
	if (op && op->flags & OP_NO_REPLY)
		return REQUEST_NO_REPLY;
	if (result > req->reply_room)
		result = -EINVAL;
	if (result < 0)
		log_debug("%s of %llu: %s", op ? op->name : "unknown request",
			  (unsigned long long)req->in.nodeid, strerror((int)-result));
	*ret_written = write_reply(req, result);
	return REQUEST_DONE;
}

const char *request_name(const struct request *req, size_t offset, size_t *next, int *ret_err)
{
	const char *name = (const char *)req->body + offset;
	size_t len;

	*ret_err = -EINVAL;
	if (offset >= req->body_len)
		return NULL;
	len = strnlen(name, req->body_len - offset);
	if (len == req->body_len - offset || !len || memchr(name, '/', len) || !strcmp(name, ".") ||
	    !strcmp(name, ".."))
		return NULL;
	if (len > NAME_MAX) {
		*ret_err = -ENAMETOOLONG;
		return NULL;
	}
	if (next)
		*next = offset + len + 1;
	return name;
}
