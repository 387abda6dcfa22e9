// SPDX-License-Identifier: GPL-2.0-or-later
/* Whose files are: owners, modes and devices that are kept beside the host's files, masks, and what
 * of all that a guest sees by other ways. */
#include <check.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <lodge/fs_xattr.h>

#include "shared-fs/server/kept.h"
#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

#define ROOT FUSE_ROOT_ID

static const struct fsd_rig_options exact = { .owner.exact = true };

/* False where the file system that tests run on has no attributes of users. */
static bool start(struct fsd_rig *rig, const struct fsd_rig_options *options)
{
	char path[256];

	fsd_rig_start(rig, options);
	fsd_write_file(rig, "probe", "");
	if (!setxattr(fsd_path(rig, "probe", path), "user.a", "1", 1, 0))
		return true;
	fsd_rig_stop(rig);
	return false;
}

static uint64_t made(struct fsd_rig *rig, uint32_t opcode, const void *body, size_t len,
		     const char *name, struct fuse_attr *ret_attr)
{
	struct fuse_entry_out out;

	ck_assert_int_eq(
		fsd_call(rig, opcode, ROOT, body, len, name, strlen(name) + 1, &out, sizeof(out)),
		sizeof(out));
	*ret_attr = out.attr;
	return out.nodeid;
}

static uint64_t make_node(struct fsd_rig *rig, const char *name, uint32_t mode, uint32_t rdev,
			  struct fuse_attr *ret_attr)
{
	struct fuse_mknod_in in = { .mode = mode, .rdev = rdev };

	return made(rig, FUSE_MKNOD, &in, sizeof(in), name, ret_attr);
}

static uint64_t make_dir(struct fsd_rig *rig, const char *name, uint32_t mode,
			 struct fuse_attr *ret_attr)
{
	struct fuse_mkdir_in in = { .mode = mode };

	return made(rig, FUSE_MKDIR, &in, sizeof(in), name, ret_attr);
}

static int64_t set(struct fsd_rig *rig, uint64_t node, struct fuse_setattr_in in,
		   struct fuse_attr *ret_attr)
{
	struct fuse_attr_out out = { 0 };
	int64_t ret =
		fsd_call(rig, FUSE_SETATTR, node, &in, sizeof(in), NULL, 0, &out, sizeof(out));

	*ret_attr = out.attr;
	return ret;
}

static struct stat host_stat(struct fsd_rig *rig, const char *name)
{
	char path[256];
	struct stat st;

	ck_assert_int_eq(lstat(fsd_path(rig, name, path), &st), 0);
	return st;
}

static bool has_kept(struct fsd_rig *rig, const char *name)
{
	char path[256];

	return getxattr(fsd_path(rig, name, path), LODGE_XATTR_KEPT, NULL, 0) > 0;
}

START_TEST(an_owner_and_odd_modes_are_kept)
{
	struct fuse_setattr_in in = { .valid = FATTR_UID | FATTR_GID, .uid = 12, .gid = 34 };
	struct fuse_attr attr;
	struct fsd_rig rig;
	uint64_t node;

	if (!start(&rig, &exact))
		return;
	node = make_node(&rig, "f", S_IFREG | 0644, 0, &attr);
	ck_assert_uint_eq(attr.mode, S_IFREG | 0644);
	ck_assert(!has_kept(&rig, "f"));
	ck_assert_int_eq(set(&rig, node, in, &attr), sizeof(struct fuse_attr_out));
	ck_assert_uint_eq(attr.uid, 12);
	ck_assert_uint_eq(attr.gid, 34);
	in = (struct fuse_setattr_in){ .valid = FATTR_MODE, .mode = 06051 };
	ck_assert_int_eq(set(&rig, node, in, &attr), sizeof(struct fuse_attr_out));
	ck_assert_uint_eq(attr.mode, S_IFREG | 06051);
	ck_assert_uint_eq(attr.uid, 12);
	/* The host's file is its user's, whom nothing locks out, and no program of privilege. */
	ck_assert_uint_eq(host_stat(&rig, "f").st_mode, S_IFREG | 0651);
	ck_assert_uint_eq(host_stat(&rig, "f").st_uid, geteuid());
	/* A new owner takes the privileges away. */
	in = (struct fuse_setattr_in){ .valid = FATTR_UID, .uid = 13 };
	ck_assert_int_eq(set(&rig, node, in, &attr), sizeof(struct fuse_attr_out));
	ck_assert_uint_eq(attr.mode, S_IFREG | 00051);
	/* All as the host has it: nothing needs to be kept. */
	in = (struct fuse_setattr_in){ .valid = FATTR_UID | FATTR_GID | FATTR_MODE,
				       .uid = geteuid(),
				       .gid = getegid(),
				       .mode = 0640 };
	ck_assert_int_eq(set(&rig, node, in, &attr), sizeof(struct fuse_attr_out));
	ck_assert(!has_kept(&rig, "f"));
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(devices_are_files_of_the_host)
{
	static const uint32_t types[] = { S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK };
	struct fuse_attr attr;
	struct fsd_rig rig;
	int error;

	if (!start(&rig, &exact))
		return;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		char name[2] = { (char)('a' + i), 0 };
		/* 259:70000, as the kernel packs it for FUSE */
		uint32_t rdev = i < 2 ? (70000 & 0xff) | 259 << 8 | (70000 & ~0xffu) << 12 : 0;
		struct stat st;

		make_node(&rig, name, types[i] | 0660, rdev, &attr);
		ck_assert_uint_eq(attr.mode, types[i] | 0660);
		ck_assert_uint_eq(attr.rdev, rdev);
		st = host_stat(&rig, name);
		ck_assert_uint_eq(st.st_mode, S_IFREG | 0660);
		ck_assert_int_eq(st.st_size, 0);
		ck_assert_uint_ne(fsd_lookup(&rig, ROOT, name, &error), 0);
	}
	fsd_rig_stop(&rig);
}
END_TEST

/* Of folders the bits stay, as chown(2) leaves them; of all else they fall. */
START_TEST(a_new_group_takes_privileges_from_all_but_folders)
{
	static const uint32_t types[] = { S_IFREG, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, S_IFDIR };
	struct fuse_setattr_in bits = { .valid = FATTR_MODE, .mode = 06555 };
	struct fuse_setattr_in group = { .valid = FATTR_GID, .gid = 34 };
	struct fuse_attr attr;
	struct fsd_rig rig;

	if (!start(&rig, &exact))
		return;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		char name[2] = { (char)('a' + i), 0 };
		uint64_t node = S_ISDIR(types[i])
					? make_dir(&rig, name, 0755, &attr)
					: make_node(&rig, name, types[i] | 0644, 0, &attr);

		ck_assert_int_eq(set(&rig, node, bits, &attr), sizeof(struct fuse_attr_out));
		ck_assert_uint_eq(attr.mode, types[i] | 06555);
		ck_assert_int_eq(set(&rig, node, group, &attr), sizeof(struct fuse_attr_out));
		ck_assert_uint_eq(attr.gid, 34);
		ck_assert_uint_eq(attr.mode, types[i] | (S_ISDIR(types[i]) ? 06555 : 0555));
	}
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(a_folders_group_is_inherited)
{
	struct fuse_setattr_in in = { .valid = FATTR_GID | FATTR_MODE, .gid = 34, .mode = 02775 };
	struct fuse_mkdir_in below = { .mode = 0755 };
	struct fuse_entry_out out;
	struct fuse_attr attr;
	struct fsd_rig rig;
	uint64_t node;

	if (!start(&rig, &exact))
		return;
	node = make_dir(&rig, "d", 0755, &attr);
	ck_assert_int_eq(set(&rig, node, in, &attr), sizeof(struct fuse_attr_out));
	ck_assert_uint_eq(attr.mode, S_IFDIR | 02775);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_MKDIR, node, &below, sizeof(below), "e", 2, &out, sizeof(out)),
		sizeof(out));
	ck_assert_uint_eq(out.attr.gid, 34);
	ck_assert_uint_eq(out.attr.mode, S_IFDIR | 02755);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(privileges_fall_with_a_write)
{
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = 04755 };
	struct fuse_write_in write_in = { .size = 1 };
	struct fuse_write_out written;
	struct fuse_attr attr;
	struct fsd_rig rig;
	uint64_t node;

	if (!start(&rig, &exact))
		return;
	node = make_node(&rig, "f", S_IFREG | 0644, 0, &attr);
	ck_assert_int_eq(set(&rig, node, in, &attr), sizeof(struct fuse_attr_out));
	for (int i = 0; i < 2; i++) {
		write_in.write_flags = i ? FUSE_WRITE_KILL_SUIDGID : 0;
		ck_assert_int_eq(fsd_call(&rig, FUSE_WRITE, node, &write_in, sizeof(write_in), "x",
					  1, &written, sizeof(written)),
				 sizeof(written));
		in.valid = 0;
		ck_assert_int_eq(set(&rig, node, in, &attr), sizeof(struct fuse_attr_out));
		ck_assert_uint_eq(attr.mode, S_IFREG | (i ? 0755 : 04755));
	}
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(ours_are_hidden_from_the_guest)
{
	struct fuse_setxattr_in set_in = { .size = 1 };
	struct fuse_getxattr_in get_in = { .size = 100 };
	struct fuse_setattr_in in = { .valid = FATTR_UID, .uid = 12 };
	char body[64] = "", list[100];
	struct fuse_attr attr;
	struct fsd_rig rig;
	uint64_t node;

	if (!start(&rig, &exact))
		return;
	node = make_node(&rig, "f", S_IFREG | 0644, 0, &attr);
	ck_assert_int_eq(set(&rig, node, in, &attr), sizeof(struct fuse_attr_out));
	ck_assert(has_kept(&rig, "f"));
	memcpy(body, "user.b\0x", 8);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_SETXATTR, node, &set_in, sizeof(set_in), body, 8, NULL, 0), 0);
	ck_assert_int_eq(fsd_call(&rig, FUSE_LISTXATTR, node, &get_in, sizeof(get_in), NULL, 0,
				  list, sizeof(list)),
			 7);
	ck_assert_mem_eq(list, "user.b", 7);
	ck_assert_int_eq(fsd_call(&rig, FUSE_GETXATTR, node, &get_in, sizeof(get_in),
				  LODGE_XATTR_KEPT, sizeof(LODGE_XATTR_KEPT), list, sizeof(list)),
			 -ENODATA);
	ck_assert_int_eq(fsd_call(&rig, FUSE_GETXATTR, node, &get_in, sizeof(get_in),
				  LODGE_XATTR_SHARE, sizeof(LODGE_XATTR_SHARE), list, sizeof(list)),
			 2);
	ck_assert_mem_eq(list, "rw", 2);
	memcpy(body, LODGE_XATTR_KEPT "\0x", sizeof(LODGE_XATTR_KEPT) + 1);
	ck_assert_int_eq(fsd_call(&rig, FUSE_SETXATTR, node, &set_in, sizeof(set_in), body,
				  sizeof(LODGE_XATTR_KEPT) + 1, NULL, 0),
			 -EPERM);
	ck_assert_int_eq(fsd_call(&rig, FUSE_REMOVEXATTR, node, NULL, 0, LODGE_XATTR_KEPT,
				  sizeof(LODGE_XATTR_KEPT), NULL, 0),
			 -EPERM);
	ck_assert(has_kept(&rig, "f"));
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(masks_hide_and_spare)
{
	const struct fsd_rig_options options = { .owner = { .file_mask = 0133, .dir_mask = 0077 } };
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = 0600 };
	struct fuse_attr attr;
	struct fsd_rig rig;
	uint64_t node;
	char path[256];
	int error;

	fsd_rig_start(&rig, &options);
	fsd_write_file(&rig, "f", "");
	ck_assert_int_eq(chmod(fsd_path(&rig, "f", path), 0775), 0);
	node = fsd_lookup(&rig, ROOT, "f", &error);
	ck_assert_uint_ne(node, 0);
	ck_assert_int_eq(set(&rig, node, in, &attr), sizeof(struct fuse_attr_out));
	ck_assert_uint_eq(attr.mode, S_IFREG | 0600);
	ck_assert_uint_eq(host_stat(&rig, "f").st_mode, S_IFREG | 0731);
	make_dir(&rig, "d", 0755, &attr);
	ck_assert_uint_eq(attr.mode, S_IFDIR | 0700);
	ck_assert_uint_eq(host_stat(&rig, "d").st_mode, S_IFDIR | 0700);
	fsd_rig_stop(&rig);
}
END_TEST

#define KEPT(...)                                                                            \
	{                                                                                    \
		.magic = LODGE_XATTR_KEPT_MAGIC, .valid = 7, .uid = 1, .gid = 2, __VA_ARGS__ \
	}

static const struct {
	struct lodge_xattr_kept raw;
	size_t len;
	uint32_t host_mode;
	bool sound;
} attributes[] = {
	{ KEPT(.mode = S_IFREG | 04755), 32, S_IFREG | 0644, true },
	{ KEPT(.mode = S_IFCHR | 0600, .rdev_major = 0xfff, .rdev_minor = 0xfffff), 32,
	  S_IFREG | 0644, true },
	{ KEPT(.mode = S_IFDIR | 01777), 32, S_IFDIR | 0755, true },
	{ KEPT(.mode = S_IFDIR | 01777), 32, S_IFREG | 0755, false },
	{ KEPT(.mode = S_IFREG | 0644), 32, S_IFDIR | 0755, false },
	{ KEPT(.mode = S_IFCHR | 0644), 32, S_IFDIR | 0755, false },
	{ KEPT(.mode = S_IFLNK | 0777), 32, S_IFREG | 0644, false },
	{ KEPT(.mode = 0644), 32, S_IFREG | 0644, false },
	{ KEPT(.mode = 1u << 16 | S_IFREG), 32, S_IFREG | 0644, false },
	{ KEPT(.mode = S_IFCHR, .rdev_major = 0x1000), 32, S_IFREG | 0644, false },
	{ KEPT(.mode = S_IFCHR, .rdev_minor = 0x100000), 32, S_IFREG | 0644, false },
	{ KEPT(.mode = S_IFREG, .rdev_minor = 1), 32, S_IFREG | 0644, false },
	{ KEPT(.mode = S_IFREG, .reserved = 1), 32, S_IFREG | 0644, false },
	{ KEPT(.mode = S_IFREG), 31, S_IFREG | 0644, false },
	{ KEPT(.mode = S_IFREG), 33, S_IFREG | 0644, false },
	{ KEPT(.mode = S_IFREG), 0, S_IFREG | 0644, false },
	{ { .magic = LODGE_XATTR_KEPT_MAGIC, .valid = 8 }, 32, S_IFREG | 0644, false },
	{ { .magic = LODGE_XATTR_KEPT_MAGIC, .valid = 1, .uid = UINT32_MAX },
	  32,
	  S_IFREG | 0644,
	  false },
	{ { .magic = LODGE_XATTR_KEPT_MAGIC, .valid = 2, .gid = UINT32_MAX },
	  32,
	  S_IFREG | 0644,
	  false },
	{ { .magic = 1, .valid = 1 }, 32, S_IFREG | 0644, false },
};

START_TEST(what_is_not_sound_does_not_count)
{
	const struct kept before = { .uid = 5, .gid = 6, .mode = attributes[_i].host_mode };
	struct lodge_xattr_kept raw = attributes[_i].raw;
	struct kept kept = before;
	uint8_t bytes[64] = { 0 };
	uint32_t *words = (uint32_t *)&raw;

	for (size_t i = 0; i < sizeof(raw) / sizeof(*words); i++)
		words[i] = htole32(words[i]);
	memcpy(bytes, &raw, sizeof(raw));
	ck_assert_int_eq(kept_parse(bytes, attributes[_i].len, &kept), attributes[_i].sound);
	if (!attributes[_i].sound) {
		ck_assert_mem_eq(&kept, &before, sizeof(kept));
		return;
	}
	ck_assert_uint_eq(kept.uid, 1);
	ck_assert_uint_eq(kept.gid, 2);
	ck_assert_uint_eq(kept.mode, attributes[_i].raw.mode);
	ck_assert_uint_eq(kept.rdev_major, attributes[_i].raw.rdev_major);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_kept");
	TCase *tcase = tcase_create("kept");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, an_owner_and_odd_modes_are_kept);
	tcase_add_test(tcase, devices_are_files_of_the_host);
	tcase_add_test(tcase, a_new_group_takes_privileges_from_all_but_folders);
	tcase_add_test(tcase, a_folders_group_is_inherited);
	tcase_add_test(tcase, privileges_fall_with_a_write);
	tcase_add_test(tcase, ours_are_hidden_from_the_guest);
	tcase_add_test(tcase, masks_hide_and_spare);
	tcase_add_loop_test(tcase, what_is_not_sound_does_not_count, 0,
			    sizeof(attributes) / sizeof(attributes[0]));
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
