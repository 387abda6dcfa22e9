// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The fuzzer plays a guest that knows what it does, a program of the host in the share, and deaths
 * of the server: whole sequences on a few names, by nodeids and open files that earlier answers
 * gave, with more folders than descriptors, a window that maps, access control lists, locks.
 *
 * Input: one byte of flags, then steps of four bytes: what, two operands, and a value. In the end
 * the guest forgets all; nothing may be left, and what lies outside the share is untouched.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lodge/vhost_user.h>

#include "protocol/lib/fd.h"
#include "shared-fs/server/dax.h"
#include "shared-fs/server/dir.h"
#include "shared-fs/server/request.h"

#define STEPS_MAX 200
#define NODES	  8
#define NAMES	  6
#define WINDOW	  (4 * DAX_SLOT_SIZE)
#define CANARY	  "what is outside"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct guest {
	struct fs *fs;
	struct scratch *scratch;
	int folder; /* of the share, as the host has it */
	int outside; /* a file */
	int channel; /* of the window: the front end's end */
	pthread_t front_end;
	bool refuses; /* the front end */
	uint64_t nodes[NODES]; /* with one lookup each; 0: none */
	uint64_t handles[NODES]; /* of that node; 0: none */
	uint8_t operands[2], value;
};

/* One name is another's folder; the last leads outside, if it is a link. */
static const char *const names[NAMES] = { "a", "b", "c", "file", "other", "link" };

static void must(bool good)
{
	if (!good)
		abort();
}

static void *serve_channel(void *arg)
{
	struct guest *guest = arg;

	for (;;) {
		uint8_t bytes[sizeof(struct vhost_user_header) + sizeof(struct vhost_user_mmap)];
		uint8_t reply[sizeof(struct vhost_user_header) + sizeof(uint64_t)];
		struct vhost_user_header header;
		int fds[FD_PASS_MAX];
		uint64_t status;
		size_t n_fds;

		if (fd_recv(guest->channel, bytes, sizeof(bytes), fds, &n_fds) != sizeof(bytes))
			return NULL;
		if (n_fds)
			close(fds[0]);
		memcpy(&header, bytes, sizeof(header));
		if (!(header.flags & VHOST_USER_FLAG_NEED_REPLY))
			continue;
		status = guest->refuses;
		header.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
		header.size = sizeof(status);
		memcpy(reply, &header, sizeof(header));
		memcpy(reply + sizeof(header), &status, sizeof(status));
		if (fd_send(guest->channel, reply, sizeof(reply), NULL, 0))
			return NULL;
	}
}

/* ---- the guest ---- */

static int64_t call(struct guest *guest, uint32_t opcode, uint64_t node, const void *body,
		    size_t len, void *reply, size_t room)
{
	struct fuse_in_header in = { .len = (uint32_t)(sizeof(in) + len),
				     .opcode = opcode,
				     .unique = 2,
				     .nodeid = node,
				     .uid = geteuid(),
				     .gid = getegid() };
	struct fuse_out_header head = { 0 };
	uint8_t thrown_away[4096];
	struct iovec iov[4] = { { &in, sizeof(in) },
				{ (void *)body, len },
				{ &head, sizeof(head) },
				{ reply ? reply : thrown_away,
				  reply ? room : sizeof(thrown_away) } };
	struct request req;
	uint32_t written;

	fs_request(&req, guest->fs, guest->scratch, iov, 2, sizeof(in) + len, 2,
		   sizeof(head) + iov[3].iov_len, true, &written);
	must(written <= sizeof(head) + (reply ? room : sizeof(thrown_away)));
	return head.error ? head.error : (int64_t)written - (int64_t)sizeof(head);
}

static size_t slot_of(const struct guest *guest, int operand)
{
	return guest->operands[operand] % NODES;
}

static uint64_t node_of(const struct guest *guest, int operand)
{
	uint64_t node = guest->nodes[slot_of(guest, operand)];

	return node ? node : ROOT_NODEID;
}

static const char *name_of(const struct guest *guest, int operand)
{
	return names[guest->operands[operand] / NODES % NAMES];
}

static void forget(struct guest *guest, size_t slot)
{
	struct fuse_release_in release = { .fh = guest->handles[slot] };
	struct fuse_forget_in in = { .nlookup = 1 };

	if (guest->handles[slot])
		call(guest, FUSE_RELEASE, guest->nodes[slot], &release, sizeof(release), NULL, 0);
	if (guest->nodes[slot])
		call(guest, FUSE_FORGET, guest->nodes[slot], &in, sizeof(in), NULL, 0);
	guest->handles[slot] = guest->nodes[slot] = 0;
}

/* What an entry's answer gives takes the place of the second operand's node. */
static void take(struct guest *guest, int64_t ret, const struct fuse_entry_out *entry)
{
	size_t slot = slot_of(guest, 1);

	if (ret < (int64_t)sizeof(*entry) || !entry->nodeid)
		return;
	must(entry->nodeid != ROOT_NODEID);
	forget(guest, slot);
	guest->nodes[slot] = entry->nodeid;
}

/* @head of @len bytes and a name behind it, below the first operand. */
static void make(struct guest *guest, uint32_t opcode, const void *head, size_t len,
		 const char *more)
{
	struct fuse_entry_out entry = { 0 };
	const char *name = name_of(guest, 0);
	uint8_t body[512];
	size_t at = len;

	memcpy(body, head, len);
	memcpy(body + at, name, strlen(name) + 1);
	at += strlen(name) + 1;
	if (more) {
		memcpy(body + at, more, strlen(more) + 1);
		at += strlen(more) + 1;
	}
	take(guest, call(guest, opcode, node_of(guest, 0), body, at, &entry, sizeof(entry)),
	     &entry);
}

static void step_lookup(struct guest *guest)
{
	make(guest, FUSE_LOOKUP, "", 0, NULL);
}

static void step_mkdir(struct guest *guest)
{
	struct fuse_mkdir_in in = { .mode = 0700 | guest->value, .umask = guest->value >> 2 };

	make(guest, FUSE_MKDIR, &in, sizeof(in), NULL);
}

static void step_mknod(struct guest *guest)
{
	static const uint32_t types[4] = { S_IFREG, S_IFREG, S_IFIFO, S_IFSOCK };
	struct fuse_mknod_in in = { .mode = types[guest->value % 4] | 0600 | guest->value,
				    .umask = guest->value >> 2 };

	make(guest, FUSE_MKNOD, &in, sizeof(in), NULL);
}

static void step_symlink(struct guest *guest)
{
	make(guest, FUSE_SYMLINK, "", 0, guest->value & 1 ? "../outside" : "/etc");
}

static void step_link(struct guest *guest)
{
	struct fuse_link_in in = { .oldnodeid = node_of(guest, 1) };

	make(guest, FUSE_LINK, &in, sizeof(in), NULL);
}

static void step_create(struct guest *guest)
{
	struct {
		struct fuse_create_in in;
		char name[16];
	} body = { { .flags = O_CREAT | (guest->value & O_ACCMODE) |
			      (guest->value & 4 ? O_TRUNC : 0) | (guest->value & 8 ? O_EXCL : 0),
		     .mode = S_IFREG | 0600 | guest->value,
		     .umask = guest->value >> 2 },
		   "" };
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { 0 };
	int64_t ret;

	strcpy(body.name, name_of(guest, 0));
	ret = call(guest, FUSE_CREATE, node_of(guest, 0), &body,
		   sizeof(body.in) + strlen(body.name) + 1, &out, sizeof(out));
	take(guest, ret, &out.entry);
	if (ret == sizeof(out))
		guest->handles[slot_of(guest, 1)] = out.open.fh;
}

static void step_open(struct guest *guest)
{
	struct fuse_open_in in = { .flags = (guest->value & O_ACCMODE) |
					    (guest->value & 4 ? O_TRUNC : 0) };
	size_t slot = slot_of(guest, 0);
	struct fuse_open_out out = { 0 };

	if (guest->nodes[slot] && !guest->handles[slot] &&
	    call(guest, guest->value & 16 ? FUSE_OPENDIR : FUSE_OPEN, guest->nodes[slot], &in,
		 sizeof(in), &out, sizeof(out)) > 0)
		guest->handles[slot] = out.fh;
}

static void step_read(struct guest *guest)
{
	static const uint32_t opcodes[4] = { FUSE_READ, FUSE_READDIR, FUSE_READDIRPLUS,
					     FUSE_READLINK };
	struct fuse_read_in in = { .fh = guest->handles[slot_of(guest, 0)],
				   .offset = guest->value / 4,
				   .size = 1024 };
	_Alignas(8) uint8_t reply[1024];
	const struct fuse_direntplus *entry;
	uint32_t opcode = opcodes[guest->value % 4];
	int64_t ret = call(guest, opcode, node_of(guest, 0), &in,
			   opcode == FUSE_READLINK ? 0 : sizeof(in), reply, sizeof(reply));

	for (int64_t at = 0; opcode == FUSE_READDIRPLUS && at < ret;
	     at += (int64_t)FUSE_DIRENTPLUS_SIZE(entry)) {
		struct fuse_forget_in once = { .nlookup = 1 };

		entry = (const struct fuse_direntplus *)(reply + at);
		if (entry->entry_out.nodeid)
			call(guest, FUSE_FORGET, entry->entry_out.nodeid, &once, sizeof(once), NULL,
			     0);
	}
}

static void step_write(struct guest *guest)
{
	struct {
		struct fuse_write_in in;
		char data[16];
	} body = { { .fh = guest->handles[slot_of(guest, 0)],
		     .offset = guest->value * 64u,
		     .size = 16,
		     .write_flags = guest->value & 1 ? FUSE_WRITE_KILL_SUIDGID : 0 },
		   "fifteen letters" };

	call(guest, FUSE_WRITE, node_of(guest, 0), &body, sizeof(body), NULL, 0);
}

static void step_remove(struct guest *guest)
{
	const char *name = name_of(guest, 0);

	call(guest, guest->value & 1 ? FUSE_RMDIR : FUSE_UNLINK, node_of(guest, 0), name,
	     strlen(name) + 1, NULL, 0);
}

static void step_rename(struct guest *guest)
{
	struct {
		struct fuse_rename2_in in;
		char names[32];
	} body = { { .newdir = node_of(guest, 1), .flags = guest->value & 7 }, "" };
	int len = sprintf(body.names, "%s%c%s", name_of(guest, 0), 0, name_of(guest, 1)) + 1;

	call(guest, FUSE_RENAME2, node_of(guest, 0), &body, sizeof(body.in) + (size_t)len, NULL, 0);
}

static void step_setattr(struct guest *guest)
{
	static const uint32_t valid[8] = { FATTR_SIZE,
					   FATTR_MODE,
					   FATTR_UID | FATTR_GID,
					   FATTR_ATIME | FATTR_MTIME,
					   FATTR_ATIME_NOW | FATTR_ATIME,
					   FATTR_SIZE | FATTR_KILL_SUIDGID,
					   FATTR_CTIME,
					   FATTR_FH | FATTR_SIZE };
	struct fuse_setattr_in in = { .valid = valid[guest->value % 8],
				      .fh = guest->handles[slot_of(guest, 0)],
				      .size = (uint64_t)guest->value << 15,
				      .mode = 0700 | guest->value,
				      .uid = geteuid(),
				      .gid = getegid() };

	call(guest, FUSE_SETATTR, node_of(guest, 0), &in, sizeof(in), NULL, 0);
}

static void step_getattr(struct guest *guest)
{
	struct fuse_getattr_in in = { .getattr_flags = guest->value & 1 ? FUSE_GETATTR_FH : 0,
				      .fh = guest->handles[slot_of(guest, 0)] };

	call(guest, FUSE_GETATTR, node_of(guest, 0), &in, sizeof(in), NULL, 0);
}

/* An access control list of one more user, or one that is cut off. */
static const uint8_t list[] = { 2, 0, 0,   0,	1,   0,	  7,  0, 255, 255, 255, 255, 2,	  0,  7,
				0, 1, 0,   0,	0,   4,	  0,  5, 0,   255, 255, 255, 255, 16, 0,
				5, 0, 255, 255, 255, 255, 32, 0, 5,   0,   255, 255, 255, 255 };

static void step_xattr(struct guest *guest)
{
	static const char *const keys[4] = { "user.key", "system.posix_acl_access",
					     "system.posix_acl_default", "security.capability" };
	const char *key = keys[guest->value % 4];
	uint32_t len = guest->value & 32 ? guest->value % sizeof(list) : sizeof(list);
	struct fuse_setxattr_in set = { .size = len };
	struct fuse_getxattr_in get = { .size = 512 };
	uint8_t body[128];
	size_t at = guest->fs->features & FUSE_SETXATTR_EXT ? sizeof(set)
							    : FUSE_COMPAT_SETXATTR_IN_SIZE;

	switch (guest->value / 4 % 4) {
	case 0:
	case 1:
		memcpy(body, &set, at);
		strcpy((char *)body + at, key);
		memcpy(body + at + strlen(key) + 1, list, len);
		call(guest, FUSE_SETXATTR, node_of(guest, 0), body, at + strlen(key) + 1 + len,
		     NULL, 0);
		break;
	case 2:
		memcpy(body, &get, sizeof(get));
		strcpy((char *)body + sizeof(get), key);
		call(guest, FUSE_GETXATTR, node_of(guest, 0), body, sizeof(get) + strlen(key) + 1,
		     NULL, 0);
		break;
	default:
		call(guest, FUSE_REMOVEXATTR, node_of(guest, 0), key, strlen(key) + 1, NULL, 0);
		break;
	}
}

static void step_lock(struct guest *guest)
{
	struct fuse_lk_in in = {
		.fh = guest->handles[slot_of(guest, 0)],
		.owner = guest->operands[1] % 2,
		.lk = { .start = guest->value, .end = guest->value * 2u, .type = guest->value % 3 },
		.lk_flags = guest->value & 8 ? FUSE_LK_FLOCK : 0
	};

	call(guest, guest->value & 16 ? FUSE_GETLK : FUSE_SETLK, node_of(guest, 0), &in, sizeof(in),
	     NULL, 0);
}

static void step_flush(struct guest *guest)
{
	struct fuse_flush_in flush = { .fh = guest->handles[slot_of(guest, 0)],
				       .lock_owner = guest->operands[1] % 2 };

	if (guest->value & 1)
		call(guest, FUSE_FLUSH, node_of(guest, 0), &flush, sizeof(flush), NULL, 0);
	else
		data_sweep(guest->fs);
}

static void step_map(struct guest *guest)
{
	struct fuse_setupmapping_in in = { .fh = UINT64_MAX,
					   .foffset = (guest->value & 1) * DAX_SLOT_SIZE,
					   .len = DAX_SLOT_SIZE << (guest->value >> 1 & 1),
					   .flags = guest->value & 4 ? 3 : 2,
					   .moffset = guest->operands[1] % 5 * DAX_SLOT_SIZE };

	guest->refuses = guest->value & 64;
	call(guest, FUSE_SETUPMAPPING, node_of(guest, 0), &in, sizeof(in), NULL, 0);
	guest->refuses = false;
}

static void step_unmap(struct guest *guest)
{
	struct {
		struct fuse_removemapping_in in;
		struct fuse_removemapping_one one[2];
	} __attribute__((packed))
	body = { { 1u + (guest->value & 1) },
		 { { guest->operands[1] % 5 * DAX_SLOT_SIZE,
		     DAX_SLOT_SIZE << (guest->value >> 1 & 1) },
		   { guest->operands[0] % 5 * DAX_SLOT_SIZE, DAX_SLOT_SIZE } } };

	call(guest, FUSE_REMOVEMAPPING, node_of(guest, 0), &body, sizeof(body), NULL, 0);
}

static void step_forget(struct guest *guest)
{
	forget(guest, slot_of(guest, 0));
}

/* ---- others ---- */

/* A program of the host, in the share. */
static void step_host(struct guest *guest)
{
	const char *name = name_of(guest, 0), *other = name_of(guest, 1);

	switch (guest->value % 5) {
	case 0:
		(void)renameat2(guest->folder, name, guest->folder, other,
				guest->value & 128 ? RENAME_EXCHANGE : 0);
		break;
	case 1:
		if (unlinkat(guest->folder, name, 0))
			(void)unlinkat(guest->folder, name, AT_REMOVEDIR);
		break;
	case 2:
		(void)!symlinkat("..", guest->folder, name);
		break;
	case 3:
		(void)mkdirat(guest->folder, name, 0700);
		break;
	default:
		close(openat(guest->folder, name,
			     O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600));
		break;
	}
}

/* Another server takes the place of one that died between two requests. */
static void step_die(struct guest *guest)
{
	struct fs_recovered found;
	struct handle *handle;

	/* What was the process's alone is gone with it. */
	for (uint32_t i = 0; (handle = slots_next(&guest->fs->handles, i));
	     i = handle->slot.index + 1) {
		dir_stream_free(guest->fs, handle->stream);
		handle->stream = NULL;
	}
	free(guest->fs->buckets);
	must(!fs_recover(guest->fs, &found));
}

static void (*const steps[])(struct guest *guest) = {
	step_lookup, step_lookup,  step_mkdir,	 step_mknod, step_symlink, step_link,
	step_create, step_create,  step_open,	 step_read,  step_write,   step_remove,
	step_rename, step_setattr, step_getattr, step_xattr, step_lock,	   step_flush,
	step_map,    step_unmap,   step_forget,	 step_host,  step_die,
};

static void begin(struct guest *guest, uint8_t flags, const char *top)
{
	const struct owner_map owner = { .active = flags & 16, .exact = flags & 16 };
	struct fs_config config = { .fd_limit = flags & 1 ? 12 : 200,
				    .host_locks = flags & 2,
				    .dax_size = WINDOW };
	struct fuse_init_in init = { .major = FUSE_KERNEL_VERSION,
				     .minor = FUSE_KERNEL_MINOR_VERSION,
				     .flags = flags & 4 ? INT32_MAX
							: INT32_MAX & ~FUSE_NO_OPEN_SUPPORT,
				     .flags2 = flags & 8 ? UINT32_MAX : 0 };
	char path[80];
	int pair[2];

	snprintf(path, sizeof(path), "%s/outside", top);
	guest->outside = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(guest->outside >= 0 && write(guest->outside, CANARY, sizeof(CANARY)) > 0);
	snprintf(path, sizeof(path), "%s/share", top);
	must(!mkdir(path, 0700));
	guest->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(!fs_create(&config, &guest->fs));
	must(!fs_share_add(guest->fs, "share", open(path, O_PATH | O_CLOEXEC), flags & 32, &owner,
			   true));
	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	guest->channel = pair[0];
	must(!pthread_create(&guest->front_end, NULL, serve_channel, guest));
	dax_connect(guest->fs->dax, pair[1], false);
	call(guest, FUSE_INIT, 0, &init, sizeof(init), NULL, 0);
}

static void end(struct guest *guest)
{
	char text[sizeof(CANARY)] = "";
	struct fs *fs = guest->fs;
	struct stat st;

	for (size_t i = 0; i < NODES; i++)
		forget(guest, i);
	must(fs->inodes.n_used == 1 && !fs->n_evicted);
	data_close_all(fs);
	must(!fs->n_fds && !fs->handles.n_used);
	fs_destroy(fs);
	pthread_join(guest->front_end, NULL);
	close(guest->channel);
	must(!fstat(guest->outside, &st) && st.st_size == sizeof(CANARY) &&
	     (st.st_mode & 07777) == 0600 && st.st_nlink == 1 &&
	     pread(guest->outside, text, sizeof(text), 0) == sizeof(text) &&
	     !memcmp(text, CANARY, sizeof(text)));
	close(guest->outside);
	close(guest->folder);
}

static int take_away(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char top[] = "/dev/shm/lodge-fuzz.XXXXXX";
	struct guest guest = { .scratch = calloc(1, sizeof(*guest.scratch)) };

	must(guest.scratch && size < 1 << 20);
	if (!size || !mkdtemp(top)) {
		free(guest.scratch);
		return 0;
	}
	begin(&guest, data[0], top);
	data++;
	size--;
	for (int i = 0; i < STEPS_MAX && size >= 4; i++, data += 4, size -= 4) {
		guest.operands[0] = data[1];
		guest.operands[1] = data[2];
		guest.value = data[3];
		steps[data[0] % (sizeof(steps) / sizeof(steps[0]))](&guest);
		must(guest.fs->n_fds <= guest.fs->config.fd_limit);
	}
	end(&guest);
	free(guest.scratch);
	must(!nftw(top, take_away, 8, FTW_DEPTH | FTW_PHYS));
	return 0;
}
