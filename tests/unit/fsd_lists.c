// SPDX-License-Identifier: GPL-2.0-or-later
/* Modes of new files: the umask of the guest's program, and the host's access control lists, which
 * take its place. */
#include <check.h>
#include <errno.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

#define ROOT	    FUSE_ROOT_ID
#define DEFAULT_ACL "system.posix_acl_default"
#define ACCESS_ACL  "system.posix_acl_access"

static const struct {
	struct posix_acl_xattr_header head;
	struct posix_acl_xattr_entry entries[5];
} list = {
	{ POSIX_ACL_XATTR_VERSION },
	{ { ACL_USER_OBJ, 7, (uint32_t)-1 },
	  { ACL_USER, 6, 1234 },
	  { ACL_GROUP_OBJ, 5, (uint32_t)-1 },
	  { ACL_MASK, 7, (uint32_t)-1 },
	  { ACL_OTHER, 0, (uint32_t)-1 } },
};

static uint32_t made(struct fsd_rig *rig, uint32_t opcode, const void *body, size_t len,
		     const char *name)
{
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out;

	ck_assert_int_gt(
		fsd_call(rig, opcode, ROOT, body, len, name, strlen(name) + 1, &out, sizeof(out)),
		0);
	return out.entry.attr.mode & 07777;
}

/* By each call that makes something, with mode 0666 or 0777: what modes it gets. */
static void all_made(struct fsd_rig *rig, const char *prefix, uint32_t umask, uint32_t file,
		     uint32_t folder)
{
	const struct fuse_mknod_in node = { .mode = S_IFIFO | 0666, .umask = umask };
	const struct fuse_mkdir_in dir = { .mode = 0777, .umask = umask };
	const struct fuse_create_in create = { .flags = 2, .mode = S_IFREG | 0666, .umask = umask };
	char name[32];

	snprintf(name, sizeof(name), "%s-node", prefix);
	ck_assert_uint_eq(made(rig, FUSE_MKNOD, &node, sizeof(node), name), file);
	snprintf(name, sizeof(name), "%s-dir", prefix);
	ck_assert_uint_eq(made(rig, FUSE_MKDIR, &dir, sizeof(dir), name), folder);
	snprintf(name, sizeof(name), "%s-file", prefix);
	ck_assert_uint_eq(made(rig, FUSE_CREATE, &create, sizeof(create), name), file);
}

START_TEST(the_callers_umask_counts)
{
	struct fsd_rig rig;

	fsd_rig_start(&rig, &(struct fsd_rig_options){ 0 });
	all_made(&rig, "a", 022, 0644, 0755);
	all_made(&rig, "b", 077, 0600, 0700);
	all_made(&rig, "c", 0, 0666, 0777);
	all_made(&rig, "d", 0xffffffff, 0, 0);
	/* Where modes are kept they are masked before. */
	fsd_rig_stop(&rig);
	fsd_rig_start(&rig,
		      &(struct fsd_rig_options){ .owner = { .exact = true, .file_mask = 0 } });
	all_made(&rig, "a", 027, 0640, 0750);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(a_default_list_takes_its_place)
{
	struct fsd_rig rig;

	fsd_rig_start(&rig, &(struct fsd_rig_options){ 0 });
	if (!setxattr(rig.folder, DEFAULT_ACL, &list, sizeof(list), 0)) {
		all_made(&rig, "a", 077, 0660, 0770);
		ck_assert_int_eq(removexattr(rig.folder, DEFAULT_ACL), 0);
		all_made(&rig, "b", 077, 0600, 0700);
	}
	fsd_rig_stop(&rig);
}
END_TEST

static int64_t set_list(struct fsd_rig *rig, uint64_t node, uint32_t flags)
{
	struct fuse_setxattr_in in = { .size = sizeof(list), .setxattr_flags = flags };
	char more[sizeof(ACCESS_ACL) + sizeof(list)] = ACCESS_ACL;

	memcpy(more + sizeof(ACCESS_ACL), &list, sizeof(list));
	return fsd_call(rig, FUSE_SETXATTR, node, &in, sizeof(in), more, sizeof(more), NULL, 0);
}

static int64_t get_list(struct fsd_rig *rig, uint64_t node)
{
	struct fuse_getxattr_in in = { .size = 256 };
	char value[256];

	return fsd_call(rig, FUSE_GETXATTR, node, &in, sizeof(in), ACCESS_ACL, sizeof(ACCESS_ACL),
			value, sizeof(value));
}

START_TEST(lists_are_set_and_read)
{
	char path[256];
	struct fsd_rig rig;
	struct stat st;
	uint64_t node;
	int error;

	fsd_rig_start(&rig, &(struct fsd_rig_options){ .switch_ids = !geteuid() });
	fsd_write_file(&rig, "f", "");
	fsd_path(&rig, "f", path);
	node = fsd_lookup(&rig, ROOT, "f", &error);
	ck_assert_int_eq(get_list(&rig, node), geteuid() ? -EOPNOTSUPP : -ENODATA);
	if (!geteuid() && !setxattr(path, ACCESS_ACL, &list, sizeof(list), 0)) {
		ck_assert_int_eq(get_list(&rig, node), sizeof(list));
		ck_assert_int_eq(chmod(path, 02770), 0);
		ck_assert_int_eq(set_list(&rig, node, 0), 0);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, 02770);
		ck_assert_int_eq(set_list(&rig, node, FUSE_SETXATTR_ACL_KILL_SGID), 0);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, 0770);
	}
	fsd_rig_stop(&rig);
}
END_TEST

/* Their ids are the host's: where the guest has others it is not told of lists. */
START_TEST(not_where_ids_are_mapped)
{
	const struct fsd_rig_options options = {
		.switch_ids = !geteuid(), .owner = { .active = true, .uid = 1000, .gid = 1000 }
	};
	struct fuse_getxattr_in in = { .size = 256 };
	char path[256];
	char names[256];
	struct fsd_rig rig;
	uint64_t node;
	int64_t len;
	int error;

	fsd_rig_start(&rig, &options);
	fsd_write_file(&rig, "f", "");
	fsd_path(&rig, "f", path);
	node = fsd_lookup(&rig, ROOT, "f", &error);
	ck_assert_int_eq(set_list(&rig, node, 0), -EOPNOTSUPP);
	if (!setxattr(path, ACCESS_ACL, &list, sizeof(list), 0)) {
		ck_assert_int_eq(get_list(&rig, node), geteuid() ? -EOPNOTSUPP : -ENODATA);
		len = fsd_call(&rig, FUSE_LISTXATTR, node, &in, sizeof(in), NULL, 0, names,
			       sizeof(names));
		ck_assert_int_ge(len, 0);
		ck_assert_ptr_null(memmem(names, (size_t)len, "posix_acl", 9));
	}
	fsd_rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_lists");
	TCase *tests = tcase_create("lists");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, the_callers_umask_counts);
	tcase_add_test(tests, a_default_list_takes_its_place);
	tcase_add_test(tests, lists_are_set_and_read);
	tcase_add_test(tests, not_where_ids_are_mapped);
	suite_add_tcase(suite, tests);
	return unit_run(suite);
}
