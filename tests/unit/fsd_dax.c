// SPDX-License-Identifier: GPL-2.0-or-later
// The DAX window as lodge-fsd sees it: what it asks of a front end, who may map what, and requests
// with buffers in the window.
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "shared-fs/server/dax.h"
#include "shared-fs/server/session.h"
#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

#define ROOT	  FUSE_ROOT_ID
#define MIB	  (1ull << 20)
#define SLOTS	  4
#define WINDOW	  (SLOTS * DAX_SLOT_SIZE)
#define AT	  0x6000000000ull /* where the guest sees the window */
#define FILE_SIZE (3 * MIB)

/* The front end's end of the channel, and what is mapped at the front end. */
static struct fsd_rig rig;
static int channel;
static pthread_t front;
static struct {
	uint64_t ino, offset, flags;
	bool mapped;
} pieces[SLOTS];
static unsigned int n_maps, n_unmaps, n_unmaps_of_all;
static bool refuse, no_replacing;

static bool obey(const struct vhost_user_header *header, const struct vhost_user_mmap *mmap, int fd)
{
	uint64_t slot = mmap->shm_offset / DAX_SLOT_SIZE;
	struct stat st;

	ck_assert_uint_eq(mmap->shmid, DAX_SHMID);
	if (header->request == VHOST_USER_BACKEND_SHMEM_UNMAP && mmap->len == WINDOW) {
		ck_assert_uint_eq(mmap->shm_offset, 0);
		memset(pieces, 0, sizeof(pieces));
		n_unmaps_of_all++;
		return true;
	}
	ck_assert_uint_eq(mmap->len, DAX_SLOT_SIZE);
	ck_assert_uint_eq(mmap->shm_offset % DAX_SLOT_SIZE, 0);
	ck_assert_uint_lt(slot, SLOTS);
	if (header->request == VHOST_USER_BACKEND_SHMEM_UNMAP) {
		pieces[slot].mapped = false;
		n_unmaps++;
		return true;
	}
	n_maps++;
	if (refuse || (no_replacing && pieces[slot].mapped))
		return false;
	ck_assert_int_eq(fstat(fd, &st), 0);
	pieces[slot].mapped = true;
	pieces[slot].ino = st.st_ino;
	pieces[slot].offset = mmap->fd_offset;
	pieces[slot].flags = mmap->flags;
	if (mmap->flags)
		ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	return true;
}

static void *serve_channel(void *arg)
{
	(void)arg;
	for (;;) {
		uint8_t bytes[sizeof(struct vhost_user_header) + sizeof(struct vhost_user_mmap)];
		uint8_t reply[sizeof(struct vhost_user_header) + sizeof(uint64_t)];
		struct vhost_user_header header;
		struct vhost_user_mmap mmap;
		int fds[FD_PASS_MAX];
		size_t n_fds;
		uint64_t status;

		if (fd_recv(channel, bytes, sizeof(bytes), fds, &n_fds) != sizeof(bytes))
			return NULL;
		memcpy(&header, bytes, sizeof(header));
		memcpy(&mmap, bytes + sizeof(header), sizeof(mmap));
		ck_assert_uint_eq(n_fds, header.request == VHOST_USER_BACKEND_SHMEM_MAP);
		status = !obey(&header, &mmap, n_fds ? fds[0] : -1);
		if (n_fds)
			close(fds[0]);
		if (!(header.flags & VHOST_USER_FLAG_NEED_REPLY))
			continue;
		header.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
		header.size = sizeof(status);
		memcpy(reply, &header, sizeof(header));
		memcpy(reply + sizeof(header), &status, sizeof(status));
		ck_assert_int_eq(fd_send(channel, reply, sizeof(reply), NULL, 0), 0);
	}
}

static void begin(uint64_t flags)
{
	struct fuse_init_in in = { .major = FUSE_KERNEL_VERSION,
				   .minor = FUSE_KERNEL_MINOR_VERSION,
				   .flags = (uint32_t)flags | FUSE_INIT_EXT,
				   .flags2 = (uint32_t)(flags >> 32) };
	struct fuse_init_out out;
	uint64_t agreed, both = FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX;

	ck_assert_int_eq(fsd_call(&rig, FUSE_INIT, 0, &in, sizeof(in), NULL, 0, &out, sizeof(out)),
			 sizeof(out));
	agreed = out.flags | (uint64_t)out.flags2 << 32;
	/* Without a window of its own, as by /dev/fuse, Linux has the second of the two alone. */
	ck_assert_uint_eq(agreed & both, flags & FUSE_MAP_ALIGNMENT ? flags & both : 0);
	ck_assert_uint_eq(out.map_alignment, flags & FUSE_MAP_ALIGNMENT ? DAX_SLOT_SHIFT : 0);
}

/* @session: of a front end that keeps one, and mappings with it; NULL. */
static void start_in(struct session_record *session, bool read_only)
{
	struct fsd_rig_options options = { .config.dax_size = WINDOW,
					   .config.session = session,
					   .read_only = read_only,
					   .no_init = true };
	struct vhost_user_shmem_config config;
	uint64_t features;
	char path[256];
	int pair[2], fd;

	memset(pieces, 0, sizeof(pieces));
	n_maps = n_unmaps = n_unmaps_of_all = 0;
	refuse = no_replacing = false;
	fsd_rig_start(&rig, &options);
	ck_assert_int_eq(fsd_rig_message(&rig, VHOST_USER_GET_PROTOCOL_FEATURES, NULL, 0, NULL, 0,
					 &features, sizeof(features)),
			 0);
	ck_assert(features >> VHOST_USER_PROTOCOL_F_SHMEM_MAP & 1);
	ck_assert(features >> VHOST_USER_PROTOCOL_F_BACKEND_REQ & 1);
	fsd_rig_message(&rig, VHOST_USER_SET_PROTOCOL_FEATURES, &features, sizeof(features), NULL,
			0, NULL, 0);
	ck_assert_int_eq(fsd_rig_message(&rig, VHOST_USER_GET_SHMEM_CONFIG, NULL, 0, NULL, 0,
					 &config, sizeof(config)),
			 0);
	ck_assert_uint_eq(config.n_regions, 1);
	ck_assert_uint_eq(config.sizes[0], WINDOW);
	ck_assert_uint_eq(config.sizes[1], 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	channel = pair[0];
	ck_assert_int_eq(pthread_create(&front, NULL, serve_channel, NULL), 0);
	fsd_rig_message(&rig, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1, NULL, 0);
	close(pair[1]);
	/* An answer, so that the message above was served, too. */
	fsd_rig_message(&rig, VHOST_USER_GET_PROTOCOL_FEATURES, NULL, 0, NULL, 0, &features,
			sizeof(features));
	fd = open(fsd_path(&rig, "file", path), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_eq(ftruncate(fd, FILE_SIZE), 0);
	ck_assert_int_eq(pwrite(fd, "beginning", 9, 0), 9);
	ck_assert_int_eq(pwrite(fd, "second", 6, DAX_SLOT_SIZE), 6);
	close(fd);
	fsd_write_file(&rig, "small", "text");
}

static void start(bool read_only)
{
	start_in(NULL, read_only);
}

static void stop(void)
{
	fsd_rig_stop(&rig);
	pthread_join(front, NULL);
	close(channel);
}

static int64_t map(uint64_t nodeid, uint64_t foffset, uint64_t len, uint64_t moffset, bool write)
{
	struct fuse_setupmapping_in in = {
		.fh = UINT64_MAX,
		.foffset = foffset,
		.len = len,
		.flags = FUSE_SETUPMAPPING_FLAG_READ | (write ? FUSE_SETUPMAPPING_FLAG_WRITE : 0),
		.moffset = moffset,
	};

	return fsd_call(&rig, FUSE_SETUPMAPPING, nodeid, &in, sizeof(in), NULL, 0, NULL, 0);
}

static int64_t unmap(uint64_t moffset, uint64_t len)
{
	struct fuse_removemapping_in in = { .count = 1 };
	struct fuse_removemapping_one one = { moffset, len };

	return fsd_call(&rig, FUSE_REMOVEMAPPING, ROOT, &in, sizeof(in), &one, sizeof(one), NULL,
			0);
}

/* UNMAP is not answered: a mapping behind it is. */
static void settle(uint64_t nodeid)
{
	ck_assert_int_eq(map(nodeid, 0, DAX_SLOT_SIZE, (SLOTS - 1) * DAX_SLOT_SIZE, false), 0);
}

static uint64_t look(const char *name)
{
	int error;
	uint64_t nodeid = fsd_lookup(&rig, ROOT, name, &error);

	ck_assert_uint_ne(nodeid, 0);
	return nodeid;
}

static uint32_t attr_flags(const char *name)
{
	struct fuse_entry_out out;

	ck_assert_int_eq(fsd_call(&rig, FUSE_LOOKUP, ROOT, name, strlen(name) + 1, NULL, 0, &out,
				  sizeof(out)),
			 sizeof(out));
	return out.attr.flags;
}

START_TEST(is_agreed_on)
{
	start(false);
	begin(FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX);
	ck_assert_uint_eq(attr_flags("file"), FUSE_ATTR_DAX);
	ck_assert_uint_eq(attr_flags("small"), 0);
	/* A guest that was not asked, and one that has no window. */
	begin(0);
	ck_assert_uint_eq(attr_flags("file"), 0);
	begin(FUSE_HAS_INODE_DAX);
	ck_assert_uint_eq(attr_flags("file"), 0);
	stop();
}
END_TEST

START_TEST(no_window)
{
	struct fsd_rig_options options = { 0 };
	uint64_t features;

	fsd_rig_start(&rig, &options);
	ck_assert_int_eq(fsd_rig_message(&rig, VHOST_USER_GET_PROTOCOL_FEATURES, NULL, 0, NULL, 0,
					 &features, sizeof(features)),
			 0);
	ck_assert(!(features >> VHOST_USER_PROTOCOL_F_SHMEM_MAP & 1));
	fsd_write_file(&rig, "small", "text");
	ck_assert_int_eq(map(look("small"), 0, DAX_SLOT_SIZE, 0, false), -ENOSYS);
	ck_assert_int_eq(unmap(0, DAX_SLOT_SIZE), -ENOSYS);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(maps_and_unmaps)
{
	uint64_t file;

	start(false);
	begin(FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX);
	file = look("file");
	ck_assert_int_eq(map(file, 0, 2 * DAX_SLOT_SIZE, DAX_SLOT_SIZE, false), 0);
	ck_assert(!pieces[0].mapped && pieces[1].mapped && pieces[2].mapped);
	ck_assert_uint_eq(pieces[1].offset, 0);
	ck_assert_uint_eq(pieces[2].offset, DAX_SLOT_SIZE);
	ck_assert_uint_eq(pieces[1].flags, 0);
	/* To be written to, from now on: in one step. */
	ck_assert_int_eq(map(file, 0, DAX_SLOT_SIZE, DAX_SLOT_SIZE, true), 0);
	ck_assert_uint_eq(pieces[1].flags, VHOST_USER_MMAP_WRITE);
	ck_assert_uint_eq(n_unmaps, 0);
	/* A front end that wants it unmapped first. */
	no_replacing = true;
	ck_assert_int_eq(map(file, 0, DAX_SLOT_SIZE, 2 * DAX_SLOT_SIZE, false), 0);
	ck_assert_uint_eq(n_unmaps, 1);
	ck_assert_uint_eq(pieces[2].offset, 0);
	ck_assert_int_eq(unmap(DAX_SLOT_SIZE, 2 * DAX_SLOT_SIZE), 0);
	settle(file);
	ck_assert(!pieces[1].mapped && !pieces[2].mapped);
	/* What is not mapped is not asked for. */
	ck_assert_int_eq(unmap(0, 3 * DAX_SLOT_SIZE), 0);
	ck_assert_uint_eq(n_unmaps, 3);
	/* A new session has nothing of the old one's. */
	begin(FUSE_MAP_ALIGNMENT);
	ck_assert_int_eq(map(look("file"), 0, DAX_SLOT_SIZE, 0, false), 0);
	ck_assert(!pieces[SLOTS - 1].mapped);
	stop();
}
END_TEST

static const struct {
	uint64_t foffset, len, moffset;
} bad_ranges[] = {
	{ 0, 0, 0 },
	{ 0, 4096, 0 },
	{ 4096, DAX_SLOT_SIZE, 0 },
	{ 0, DAX_SLOT_SIZE, 4096 },
	{ 0, DAX_SLOT_SIZE, WINDOW },
	{ 0, 2 * DAX_SLOT_SIZE, WINDOW - DAX_SLOT_SIZE },
	{ 0, DAX_SLOT_SIZE, UINT64_MAX & ~(DAX_SLOT_SIZE - 1) },
	{ UINT64_MAX & ~(DAX_SLOT_SIZE - 1), DAX_SLOT_SIZE, 0 },
	{ INT64_MAX & ~(DAX_SLOT_SIZE - 1), DAX_SLOT_SIZE, 0 },
	{ 0, UINT64_MAX & ~(DAX_SLOT_SIZE - 1), 0 },
};

START_TEST(checks_ranges)
{
	struct fuse_removemapping_in many = { .count = 1000 };
	uint64_t file;

	start(false);
	begin(FUSE_MAP_ALIGNMENT);
	file = look("file");
	for (size_t i = 0; i < sizeof(bad_ranges) / sizeof(bad_ranges[0]); i++) {
		ck_assert_int_eq(map(file, bad_ranges[i].foffset, bad_ranges[i].len,
				     bad_ranges[i].moffset, false),
				 -EINVAL);
		if (bad_ranges[i].len && !bad_ranges[i].foffset)
			ck_assert_int_eq(unmap(bad_ranges[i].moffset, bad_ranges[i].len), -EINVAL);
	}
	ck_assert_int_eq(map(ROOT, 0, DAX_SLOT_SIZE, 0, false), -EINVAL);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_REMOVEMAPPING, ROOT, &many, sizeof(many), NULL, 0, NULL, 0),
		-EINVAL);
	ck_assert_uint_eq(n_maps + n_unmaps, 0);
	stop();
}
END_TEST

START_TEST(read_only)
{
	uint64_t file;

	start(true);
	begin(FUSE_MAP_ALIGNMENT);
	file = look("file");
	ck_assert_int_eq(map(file, 0, DAX_SLOT_SIZE, 0, true), -EROFS);
	ck_assert_int_eq(map(file, 0, DAX_SLOT_SIZE, 0, false), 0);
	ck_assert_uint_eq(pieces[0].flags, 0);
	ck_assert_uint_eq(n_maps, 1);
	stop();
}
END_TEST

START_TEST(writing_drops_privileges)
{
	struct timespec past[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	struct stat st;
	char path[256];

	start(false);
	begin(FUSE_MAP_ALIGNMENT);
	ck_assert_int_eq(chmod(fsd_path(&rig, "file", path), 06755), 0);
	ck_assert_int_eq(utimensat(AT_FDCWD, path, past, 0), 0);
	ck_assert_int_eq(map(look("file"), 0, DAX_SLOT_SIZE, 0, false), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 06755);
	ck_assert_int_eq(st.st_mtime, 1000);
	ck_assert_int_eq(map(look("file"), 0, DAX_SLOT_SIZE, 0, true), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0755);
	ck_assert_int_gt(st.st_mtime, 1000);
	ck_assert_int_eq(st.st_atime, 1000);
	stop();
}
END_TEST

static void getattr(uint64_t nodeid, struct fuse_attr_out *ret_out)
{
	struct fuse_getattr_in in = { 0 };

	ck_assert_int_eq(fsd_call(&rig, FUSE_GETATTR, nodeid, &in, sizeof(in), NULL, 0, ret_out,
				  sizeof(*ret_out)),
			 sizeof(*ret_out));
}

/* The front end knows of stores: it is asked before times are told or set, for this file alone. */
START_TEST(times_are_settled)
{
	struct fuse_setattr_in set = { .valid = FATTR_MTIME, .mtime = 1000 };
	struct fuse_attr_out out;
	uint64_t file, small;

	start(false);
	begin(FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX);
	file = look("file");
	small = look("small");
	ck_assert_int_eq(map(file, 0, DAX_SLOT_SIZE, 0, false), 0);
	getattr(file, &out);
	ck_assert_uint_eq(n_maps, 1);
	ck_assert_uint_eq(out.attr_valid + out.attr_valid_nsec, 0);
	ck_assert_int_eq(map(file, 0, DAX_SLOT_SIZE, 0, true), 0);
	ck_assert_int_eq(map(file, DAX_SLOT_SIZE, DAX_SLOT_SIZE, DAX_SLOT_SIZE, true), 0);
	n_maps = 0;
	getattr(file, &out);
	ck_assert_uint_eq(n_maps, 2);
	getattr(small, &out);
	ck_assert_uint_eq(n_maps, 2);
	ck_assert_uint_gt(out.attr_valid + out.attr_valid_nsec, 0);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_SETATTR, file, &set, sizeof(set), NULL, 0, &out, sizeof(out)),
		sizeof(out));
	ck_assert_uint_ge(n_maps, 4);
	ck_assert_uint_eq(out.attr.mtime, 1000);
	ck_assert_int_eq(unmap(0, 2 * DAX_SLOT_SIZE), 0);
	n_maps = 0;
	getattr(file, &out);
	ck_assert_uint_eq(n_maps, 0);
	/* A guest that maps every file has to ask for the times of every file. */
	ck_assert_int_eq(map(small, 0, DAX_SLOT_SIZE, 0, true), 0);
	getattr(small, &out);
	ck_assert_uint_eq(n_maps, 2);
	ck_assert_uint_eq(out.attr_valid + out.attr_valid_nsec, 0);
	stop();
}
END_TEST

/* What a server before us had mapped goes when a session begins, and is not asked about again. */
START_TEST(unmaps_what_it_inherited)
{
	static struct session_record session;

	start_in(&session, false);
	begin(FUSE_MAP_ALIGNMENT);
	settle(look("file"));
	ck_assert_uint_eq(n_unmaps_of_all, 1);
	begin(FUSE_MAP_ALIGNMENT);
	settle(look("file"));
	ck_assert_uint_eq(n_unmaps_of_all, 1);
	stop();
	start(false);
	begin(FUSE_MAP_ALIGNMENT);
	settle(look("file"));
	ck_assert_uint_eq(n_unmaps_of_all, 0);
	stop();
}
END_TEST

START_TEST(front_end_refuses)
{
	uint64_t file;

	start(false);
	begin(FUSE_MAP_ALIGNMENT);
	file = look("file");
	refuse = true;
	ck_assert_int_eq(map(file, 0, DAX_SLOT_SIZE, 0, false), -EIO);
	refuse = false;
	ck_assert_int_eq(map(file, 0, DAX_SLOT_SIZE, 0, false), 0);
	/* And goes away: nothing hangs. */
	shutdown(channel, SHUT_RDWR);
	ck_assert_int_eq(map(file, 0, DAX_SLOT_SIZE, 0, false), -EIO);
	ck_assert_int_eq(unmap(0, DAX_SLOT_SIZE), 0);
	stop();
}
END_TEST

/* A WRITE whose data lie at @addr. */
static int32_t write_from(uint64_t nodeid, uint64_t addr, uint32_t len)
{
	struct {
		struct fuse_in_header head;
		struct fuse_write_in body;
	} out = {
		.head = { .len = (uint32_t)sizeof(out) + len,
			  .opcode = FUSE_WRITE,
			  .unique = 4711,
			  .nodeid = nodeid,
		},
		.body = { .size = len },
	};
	const struct raw_desc desc[] = {
		{ RIG_GUEST_BASE + RIG_OUT, sizeof(out), VRING_DESC_F_NEXT, 1 },
		{ addr, len, VRING_DESC_F_NEXT, 2 },
		{ RIG_GUEST_BASE + RIG_IN, 64, VRING_DESC_F_WRITE, 0 },
	};
	struct fuse_out_header head;

	memcpy(rig.memory + RIG_OUT, &out, sizeof(out));
	memset(rig.memory + RIG_IN, 0, 64);
	ck_assert_uint_ge(fsd_ring_run(&rig, 1, desc, 3), sizeof(head));
	memcpy(&head, rig.memory + RIG_IN, sizeof(head));
	ck_assert_uint_eq(head.unique, 4711);
	return head.error;
}

/* A READ into @addr. */
static int32_t read_into(uint64_t nodeid, uint64_t addr, uint32_t len)
{
	struct {
		struct fuse_in_header head;
		struct fuse_read_in body;
	} out = {
		.head = { .len = sizeof(out),
			  .opcode = FUSE_READ,
			  .unique = 4712,
			  .nodeid = nodeid },
		.body = { .size = len },
	};
	const struct raw_desc desc[] = {
		{ RIG_GUEST_BASE + RIG_OUT, sizeof(out), VRING_DESC_F_NEXT, 1 },
		{ RIG_GUEST_BASE + RIG_IN, sizeof(struct fuse_out_header),
		  VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 2 },
		{ addr, len, VRING_DESC_F_WRITE, 0 },
	};
	struct fuse_out_header head;

	memcpy(rig.memory + RIG_OUT, &out, sizeof(out));
	memset(rig.memory + RIG_IN, 0, 64);
	ck_assert_uint_ge(fsd_ring_run(&rig, 1, desc, 3), sizeof(head));
	memcpy(&head, rig.memory + RIG_IN, sizeof(head));
	ck_assert_uint_eq(head.unique, 4712);
	return head.error;
}

static void holds(const char *name, off_t at, const char *text)
{
	char path[256], bytes[32] = { 0 };
	int fd = open(fsd_path(&rig, name, path), O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(pread(fd, bytes, strlen(text), at), 0);
	ck_assert_str_eq(bytes, text);
	close(fd);
}

START_TEST(buffers_in_the_window)
{
	uint64_t file, small;

	start(false);
	begin(FUSE_MAP_ALIGNMENT | FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT);
	file = look("file");
	small = look("small");
	dax_place(rig.fs->dax, AT);
	ck_assert_int_eq(map(file, 0, 2 * DAX_SLOT_SIZE, 0, false), 0);
	ck_assert_int_eq(write_from(small, AT, 9), 0);
	holds("small", 0, "beginning");
	/* Over the edge of two pieces. */
	ck_assert_int_eq(write_from(small, AT + DAX_SLOT_SIZE - 1, 7), 0);
	holds("small", 1, "second");
	/* Where no file is: zeroes. */
	ck_assert_int_eq(write_from(small, AT + 3 * DAX_SLOT_SIZE, 4), 0);
	holds("small", 4, "on");
	/* What is mapped for reading is not written to. */
	ck_assert_int_eq(write_from(small, AT, 9), 0);
	ck_assert_int_eq(read_into(small, AT + 100, 9), 0);
	holds("file", 100, "");
	ck_assert_int_eq(map(file, 0, DAX_SLOT_SIZE, 0, true), 0);
	ck_assert_int_eq(read_into(small, AT + 100, 9), 0);
	holds("file", 100, "beginning");
	stop();
}
END_TEST

START_TEST(buffers_beyond_the_window)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} bad[] = {
		{ AT - 1, 2 },	       { AT + WINDOW, 1 }, { AT + WINDOW - 1, 2 },
		{ UINT64_MAX - 3, 8 }, { AT, 2 * MIB },
	};
	const struct raw_desc desc[] = {
		{ RIG_GUEST_BASE + RIG_OUT, 40, VRING_DESC_F_NEXT, 1 },
		{ bad[_i].addr, bad[_i].len, 0, 0 },
	};

	start(false);
	begin(FUSE_MAP_ALIGNMENT);
	dax_place(rig.fs->dax, AT);
	fsd_ring_put(&rig, 1, desc, 2);
	fsd_ring_kick(&rig, 1);
	ck_assert(fsd_ring_broke(&rig, 1));
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_dax");
	TCase *tcase = tcase_create("dax");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, is_agreed_on);
	tcase_add_test(tcase, no_window);
	tcase_add_test(tcase, maps_and_unmaps);
	tcase_add_test(tcase, checks_ranges);
	tcase_add_test(tcase, read_only);
	tcase_add_test(tcase, writing_drops_privileges);
	tcase_add_test(tcase, times_are_settled);
	tcase_add_test(tcase, unmaps_what_it_inherited);
	tcase_add_test(tcase, front_end_refuses);
	tcase_add_test(tcase, buffers_in_the_window);
	tcase_add_loop_test(tcase, buffers_beyond_the_window, 0, 5);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
