/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One FUSE request on its way through the file system.
 *
 * The transport fills the iovecs and calls fs_request(); the header and the body are copied to
 * private memory and checked there; the handler of the opcode's row answers. A row marked OP_DEFER
 * may block and is run by a worker (fs_request returns REQUEST_DEFER before it did anything).
 */
#ifndef LODGE_FSD_REQUEST_H
#define LODGE_FSD_REQUEST_H

#include <limits.h> /* NAME_MAX, PATH_MAX, IOV_MAX */

#include <linux/fuse.h>

#include "shared-fs/server/fs.h"
#include "shared-fs/server/journal.h"
#include "shared-fs/server/memory.h"

/* XATTR_SIZE_MAX and two names, the largest body that is not WRITE's data. */
#define REQUEST_BODY_MAX (65536 + 2 * 256 + 64)
/* The largest reply that is not READ's data: one value of an attribute. */
#define REQUEST_REPLY_MAX 65536

/* Private memory of one thread; pages that are not needed are never touched. */
struct scratch {
	union {
		uint8_t body[REQUEST_BODY_MAX + 1]; /* + 1: a NUL behind the last name */
		uint64_t align_body;
	};
	union {
		uint8_t reply[REQUEST_REPLY_MAX];
		uint64_t align_reply;
	};
	union {
		uint8_t entries[32768]; /* getdents64(2) */
		uint64_t align_entries;
	};
	/* The thread's file mode creation mask: caller_mode(). */
	enum { MASK_COMMON, MASK_OWN, MASK_DENIED } mask_state;
	uint32_t mask;
};

struct request {
	struct fs *fs;
	struct scratch *scratch;
	struct fuse_in_header in;
	const void *body; /* in->len - 40 bytes, but for WRITE's data; NUL-terminated */
	uint32_t body_len;
	struct iovec *out; /* what is left of the guest's readable buffers: WRITE's data */
	size_t n_out;
	struct iovec *reply; /* the guest's writable buffers, the header's place first */
	size_t n_reply;
	uint32_t reply_room; /* bytes behind the reply's header */
	struct inode *inode; /* of in.nodeid, referenced */
	struct journal *journal; /* or NULL */
	bool again; /* a server that died had begun it: it may have been done */
	uint32_t epoch; /* of the file system, when it was taken: a wait ends with that */
	/* The handler's answer: its return value is the error, or the payload's length. The payload
	 * is what payload points to (the scratch's reply at the start), NULL: it is there already.
	 */
	const void *payload;
};

enum request_result {
	REQUEST_DONE, /* *ret_written is the used length */

	REQUEST_DEFER, /* to be run by a thread that may block */
	REQUEST_DEFER_REMOTE, /* the same, for as long as another machine does not answer */
	REQUEST_NO_REPLY, /* done, no reply by the protocol: used length 0, and nobody waits */
};

struct request_mode {
	bool may_block; /* run it whatever it takes */
	struct journal *journal; /* of the request, begun; or NULL */
	bool again; /* another server had begun it, and @journal is what it noted */
	uint32_t epoch; /* as in struct request */
};

/*
 * Takes the request in the first @n_out iovecs, replies into the @n_in behind them. Changes the
 * iovecs.
 */
enum request_result fs_request_in_mode(struct request *req, struct fs *fs, struct scratch *scratch,
				       struct iovec *iov, size_t n_out, size_t out_len, size_t n_in,
				       size_t in_len, const struct request_mode *mode,
				       uint32_t *ret_written);

static inline enum request_result fs_request(struct request *req, struct fs *fs,
					     struct scratch *scratch, struct iovec *iov,
					     size_t n_out, size_t out_len, size_t n_in,
					     size_t in_len, bool may_block, uint32_t *ret_written)
{
	const struct request_mode mode = { .may_block = may_block,
					   .epoch = __atomic_load_n(&fs->epoch, __ATOMIC_ACQUIRE) };

	return fs_request_in_mode(req, fs, scratch, iov, n_out, out_len, n_in, in_len, &mode,
				  ret_written);
}

/* Answers a request that is not run with @error: the used length. */
uint32_t fs_refuse(struct iovec *iov, size_t n_out, size_t n_in, int error);

/* For handlers. */
typedef int64_t (*fuse_handler)(struct request *req);

/* The body's struct; the table made sure that it is there. */
#define request_body(req, type) ((const struct type *)(req)->body)
/* The name at @offset of the body. *@next (may be NULL): the offset behind its NUL. NULL where
 * there is no NUL, ret_err says what: -EINVAL, -ENAMETOOLONG. One component: not "", ".", "..", no
 * '/'. */
const char *request_name(const struct request *req, size_t offset, size_t *next, int *ret_err);

int64_t op_init(struct request *req);
int64_t op_destroy(struct request *req);
int64_t op_lookup(struct request *req);
int64_t op_forget(struct request *req);
int64_t op_batch_forget(struct request *req);
int64_t op_getattr(struct request *req);
int64_t op_setattr(struct request *req);
int64_t op_readlink(struct request *req);
int64_t op_symlink(struct request *req);
int64_t op_mknod(struct request *req);
int64_t op_mkdir(struct request *req);
int64_t op_unlink(struct request *req);
int64_t op_rmdir(struct request *req);
int64_t op_rename(struct request *req);
int64_t op_rename2(struct request *req);
int64_t op_link(struct request *req);
int64_t op_open(struct request *req);
int64_t op_create(struct request *req);
int64_t op_tmpfile(struct request *req);
int64_t op_read(struct request *req);
int64_t op_write(struct request *req);
int64_t op_statfs(struct request *req);
int64_t op_release(struct request *req);
int64_t op_fsync(struct request *req);
int64_t op_fsyncdir(struct request *req);
int64_t op_flush(struct request *req);
int64_t op_setxattr(struct request *req);
int64_t op_getxattr(struct request *req);
int64_t op_listxattr(struct request *req);
int64_t op_removexattr(struct request *req);
int64_t op_opendir(struct request *req);
int64_t op_readdir(struct request *req);
int64_t op_readdirplus(struct request *req);
int64_t op_releasedir(struct request *req);
int64_t op_getlk(struct request *req);
int64_t op_setlk(struct request *req);
int64_t op_setlkw(struct request *req);
int64_t op_interrupt(struct request *req);
int64_t op_ioctl(struct request *req);
int64_t op_fallocate(struct request *req);
int64_t op_lseek(struct request *req);
int64_t op_copy_file_range(struct request *req);
int64_t op_syncfs(struct request *req);
int64_t op_setupmapping(struct request *req);
int64_t op_removemapping(struct request *req);

#endif
