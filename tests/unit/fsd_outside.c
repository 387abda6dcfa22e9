// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What lies outside of a share stays as it is, whatever the host does to the share meanwhile (T14
 * of the reliability tests) or the guest to its request (T07), and no file keeps a privilege that
 * its new bytes have not earned (T16).
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

static struct fs *fs;
static struct scratch *scratch;
static char top[64]; /* holds the share and what is outside of it */

static void path_of(const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", top, name);
}

static void make_folder(const char *name)
{
	char path[128];

	path_of(name, path);
	ck_assert_int_eq(mkdir(path, 0755), 0);
}

static struct stat make_file(const char *name, const char *text)
{
	struct stat st;
	char path[128];
	int fd;

	path_of(name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fstat(fd, &st), 0);
	close(fd);
	return st;
}

static void setup(void)
{
	struct fs_config config = { .fd_limit = 500 };
	struct fuse_init_in in = { .major = FUSE_KERNEL_VERSION,
				   .minor = FUSE_KERNEL_MINOR_VERSION,
				   .flags = INT32_MAX };
	struct fuse_init_out out;
	char path[128];

	strcpy(top, "/tmp/lodge-fsd-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	make_folder("share");
	path_of("share", path);
	scratch = calloc(1, sizeof(*scratch));
	ck_assert_int_eq(fs_create(&config, &fs), 0);
	ck_assert_int_eq(fs_share_add(fs, "share", open(path, O_PATH | O_CLOEXEC), false,
				      &(struct owner_map){ 0 }, true),
			 0);
	ck_assert_int_gt(fsd_direct(fs, scratch, FUSE_INIT, 0, &in, sizeof(in), &out, sizeof(out)),
			 0);
}

static void teardown(void)
{
	fsd_direct_end(fs, scratch, top);
}

/* The node, 0 where there is none. */
static uint64_t look_up(uint64_t dir, const char *name, struct fuse_attr *ret_attr)
{
	struct fuse_entry_out entry;
	int64_t ret = fsd_direct(fs, scratch, FUSE_LOOKUP, dir, name, strlen(name) + 1, &entry,
				 sizeof(entry));

	if (ret != sizeof(entry))
		return 0;
	*ret_attr = entry.attr;
	return entry.nodeid;
}

static void forget(uint64_t node)
{
	struct fuse_forget_in in = { .nlookup = 1 };

	fsd_direct(fs, scratch, FUSE_FORGET, node, &in, sizeof(in), NULL, 0);
}

static int64_t set_attr(uint64_t node, const struct fuse_setattr_in *in)
{
	struct fuse_attr_out out;

	return fsd_direct(fs, scratch, FUSE_SETATTR, node, in, sizeof(*in), &out, sizeof(out));
}

static int64_t write_text(uint64_t node, const char *text)
{
	struct {
		struct fuse_write_in in;
		char text[16];
	} body = { .in.size = (uint32_t)strlen(text) };
	struct fuse_write_out out;

	strcpy(body.text, text);
	return fsd_direct(fs, scratch, FUSE_WRITE, node, &body, sizeof(body.in) + body.in.size,
			  &out, sizeof(out));
}

/* ---- T14 ---- */

static void *swap(void *arg)
{
	const bool *stop = arg;
	char a[128];
	char b[128];

	path_of("share/a", a);
	path_of("share/b", b);
	while (!__atomic_load_n(stop, __ATOMIC_ACQUIRE)) {
		if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE))
			abort();
	}
	return NULL;
}

/* What a guest does with a/passwd and a/new; how often it was let. */
static unsigned int use(uint64_t node, const struct stat *outside)
{
	const struct fuse_setattr_in mode = { .valid = FATTR_MODE, .mode = 0600 };
	const struct fuse_setattr_in owner = { .valid = FATTR_UID | FATTR_GID,
					       .uid = geteuid(),
					       .gid = getegid() };
	struct {
		struct fuse_mknod_in in;
		char name[4];
	} mknod = { { .mode = S_IFREG | 0600 }, "new" };
	struct fuse_entry_out entry;
	struct fuse_attr attr;
	uint64_t passwd = look_up(node, "passwd", &attr);
	unsigned int n = 0;

	if (passwd) {
		if (attr.size == (uint64_t)outside->st_size)
			ck_abort_msg("a file outside was found");
		n += set_attr(passwd, &mode) > 0 && set_attr(passwd, &owner) > 0 &&
		     write_text(passwd, "w") > 0;
		forget(passwd);
	}
	if (fsd_direct(fs, scratch, FUSE_MKNOD, node, &mknod, sizeof(mknod.in) + 4, &entry,
		       sizeof(entry)) > 0) {
		n++;
		forget(entry.nodeid);
		fsd_direct(fs, scratch, FUSE_UNLINK, node, "new", 4, NULL, 0);
	}
	return n;
}

START_TEST(t14_a_folder_that_becomes_a_link)
{
	struct fuse_setattr_in owner = { .valid = FATTR_UID, .uid = geteuid() };
	long rounds = unit_rounds(20000);
	struct fuse_attr attr;
	char outside[128];
	char path[128];
	unsigned int n = 0;
	struct stat before;
	struct stat after;
	bool stop = false;
	pthread_t thread;

	make_folder("outside");
	before = make_file("outside/passwd", "a secret");
	make_folder("share/a");
	make_file("share/a/passwd", "-");
	path_of("outside", outside);
	path_of("share/b", path);
	ck_assert_int_eq(symlink(outside, path), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, swap, &stop), 0);
	for (long i = 0; i < rounds; i++) {
		uint64_t node = look_up(FUSE_ROOT_ID, "a", &attr);

		/* The link itself, or the folder. */
		set_attr(node, &owner);
		n += use(node, &before);
		forget(node);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	ck_assert_uint_gt(n, 0);
	path_of("outside/passwd", path);
	ck_assert_int_eq(stat(path, &after), 0);
	ck_assert_uint_eq(after.st_mode, before.st_mode);
	ck_assert_int_eq(after.st_size, before.st_size);
	ck_assert_mem_eq(&after.st_ctim, &before.st_ctim, sizeof(after.st_ctim));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(outside), 0); /* nothing else is there */
}
END_TEST

/* ---- T07 ---- */

/* As in fsd_hostile.c, with no ring and no other process between: for 10,000,000 of them by hand.
 * What is written stays within the room for replies, and ASan sees what is read. */
START_TEST(t07_bytes_that_change)
{
	static const struct {
		size_t offset; /* in the request */
		uint32_t value;
	} flips[] = { { 0, 0xfffffff0 }, /* header.len */
		      { 4, FUSE_SETATTR }, /* header.opcode */
		      { 16, 0xffffffff }, /* header.nodeid */
		      { 48, 0xffffffff }, /* WRITE's offset */
		      { 56, 0xfffffff0 } }; /* its size */
	struct message {
		struct fuse_in_header in;
		struct fuse_write_in write;
		char data[16];
	} *message = malloc(sizeof(*message)); /* to its last byte */
	struct fsd_flipper flipper = { .value = flips[_i].value };
	long rounds = unit_rounds(5000);
	struct fuse_attr attr;
	char *reply = malloc(256);
	struct iovec iov[] = { { message, sizeof(message->in) },
			       { &message->write, sizeof(message->write) + 16 },
			       { reply, 256 } };
	struct request req;
	uint32_t written;
	pthread_t thread;

	make_file("share/f", "text");
	*message = (struct message){ .in = { .len = sizeof(*message),
					     .opcode = FUSE_WRITE,
					     .unique = 1,
					     .nodeid = look_up(FUSE_ROOT_ID, "f", &attr) },
				     .write.size = 16 };
	flipper.word = (uint32_t *)((char *)message + flips[_i].offset);
	ck_assert_int_eq(pthread_create(&thread, NULL, fsd_flip, &flipper), 0);
	for (long i = 0; i < rounds; i++) {
		fs_request(&req, fs, scratch, iov, 2, sizeof(*message), 1, 256, true, &written);
		if (written < sizeof(struct fuse_out_header) || written > 256)
			ck_abort_msg("%u bytes of reply", written);
	}
	__atomic_store_n(&flipper.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ck_assert_uint_ne(look_up(FUSE_ROOT_ID, "f", &attr), 0);
	free(message);
	free(reply);
}
END_TEST

/* ---- T16 ---- */

static int64_t shorten(uint64_t node)
{
	const struct fuse_setattr_in in = { .valid = FATTR_SIZE };

	return set_attr(node, &in);
}

static int64_t write_some(uint64_t node)
{
	return write_text(node, "y");
}

static int64_t give_away(uint64_t node)
{
	const struct fuse_setattr_in in = { .valid = FATTR_UID | FATTR_GID, .uid = 7, .gid = 7 };

	return set_attr(node, &in);
}

/* struct vfs_cap_data of linux/capability.h: revision 2, CAP_NET_RAW permitted and effective. */
static const uint32_t some_capability[5] = { 0x02000001, 1 << 13 };

START_TEST(t16_capabilities_fall)
{
	static int64_t (*const ways[])(uint64_t node) = { write_some, shorten, give_away };
	struct fuse_attr attr;
	char bytes[64];
	char path[128];
	uint64_t node;

	make_file("share/f", "x");
	path_of("share/f", path);
	if (setxattr(path, "security.capability", some_capability, sizeof(some_capability), 0))
		return; /* as an ordinary user; nobody can then */
	node = look_up(FUSE_ROOT_ID, "f", &attr);
	ck_assert_int_gt(ways[_i](node), 0);
	ck_assert_int_eq(getxattr(path, "security.capability", bytes, sizeof(bytes)), -1);
	ck_assert_int_eq(errno, ENODATA);
}
END_TEST

/* As another user of the guest than root: no file system need do it by itself. */
START_TEST(t16_privileges_fall_with_space)
{
	struct {
		struct fuse_in_header head;
		struct fuse_fallocate_in body;
	} in = { .head = { .len = sizeof(in), .opcode = FUSE_FALLOCATE, .uid = _i ? 1000 : 0 },
		 .body = { .length = 8192 } };
	struct fuse_out_header out;
	struct iovec iov[] = { { &in, sizeof(in) }, { &out, sizeof(out) } };
	struct fuse_attr attr;
	struct request req;
	char path[128];
	struct stat st;
	uint32_t written;

	make_file("share/f", "x");
	path_of("share/f", path);
	ck_assert_int_eq(chmod(path, 06755), 0);
	in.head.nodeid = look_up(FUSE_ROOT_ID, "f", &attr);
	fs_request(&req, fs, scratch, iov, 1, sizeof(in), 1, sizeof(out), true, &written);
	if (out.error == -EOPNOTSUPP)
		return; /* this file system has none */
	ck_assert_int_eq(out.error, 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, 8192);
	if (_i)
		ck_assert_uint_eq(st.st_mode & 07777, 0755);
}
END_TEST

/* A server that renamed attributes would take these for its own: this one keeps them as they are.
 */
START_TEST(t16_names_of_others)
{
	static const char name[] = "user.virtiofs.security.capability";
	struct {
		struct fuse_setxattr_in in;
		char body[64];
	} set = { .in.size = 1 };
	struct fuse_attr attr;
	char bytes[64];
	char path[128];
	uint64_t node;

	make_file("share/f", "x");
	path_of("share/f", path);
	if (setxattr(path, "user.try", "x", 1, 0))
		return; /* this file system has none */
	node = look_up(FUSE_ROOT_ID, "f", &attr);
	memcpy(set.body, name, sizeof(name));
	set.body[sizeof(name)] = 'v';
	ck_assert_int_eq(fsd_direct(fs, scratch, FUSE_SETXATTR, node, &set,
				    sizeof(set.in) + sizeof(name) + 1, NULL, 0),
			 0);
	ck_assert_int_eq(getxattr(path, name, bytes, sizeof(bytes)), 1);
	ck_assert_int_eq(getxattr(path, "security.capability", bytes, sizeof(bytes)), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_outside");
	TCase *tcase = tcase_create("outside");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, t14_a_folder_that_becomes_a_link);
	tcase_add_loop_test(tcase, t07_bytes_that_change, 0, 5);
	tcase_add_loop_test(tcase, t16_capabilities_fall, 0, 3);
	tcase_add_loop_test(tcase, t16_privileges_fall_with_space, 0, 2);
	tcase_add_test(tcase, t16_names_of_others);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
