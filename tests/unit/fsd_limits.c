// SPDX-License-Identifier: GPL-2.0-or-later
/* The edges of what a guest may ask for (T09, T10, T15, T18 and T29 of the reliability tests):
 * sizes that are nearly nothing, numbers that are nobody's any more, files that are no files, and
 * as many of each thing as there may be. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "shared-fs/server/ops.h"
#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

#define ROOT FUSE_ROOT_ID
#define MANY 1000

static struct fsd_rig rig;

static void start(bool classic, uint32_t fd_limit)
{
	struct fsd_rig_options options = { .classic = classic,
					   .config = { .fd_limit = fd_limit, .host_locks = true } };

	fsd_rig_start(&rig, &options);
}

static uint64_t make(const char *name, const char *text)
{
	uint64_t node;
	int error;

	fsd_write_file(&rig, name, text);
	node = fsd_lookup(&rig, ROOT, name, &error);
	ck_assert_int_eq(error, 0);
	return node;
}

static int64_t get_attr(uint64_t node)
{
	struct fuse_getattr_in in = { 0 };

	return fsd_call(&rig, FUSE_GETATTR, node, &in, sizeof(in), NULL, 0, NULL,
			sizeof(struct fuse_attr_out));
}

static void stop(void)
{
	ck_assert_int_eq(get_attr(ROOT), sizeof(struct fuse_attr_out));
	fsd_rig_stop(&rig);
}

/* The guest's own affair: each is answered by its number. */
START_TEST(t09_uniques)
{
	static const uint64_t uniques[] = { 0, 7, 7, UINT64_MAX };
	struct {
		struct fuse_in_header head;
		struct fuse_getattr_in body;
	} in = { .head = { .len = sizeof(in), .opcode = FUSE_GETATTR, .nodeid = ROOT } };
	struct fuse_out_header out;

	start(false, 0);
	for (size_t i = 0; i < sizeof(uniques) / sizeof(uniques[0]); i++) {
		in.head.unique = uniques[i];
		ck_assert_uint_gt(fsd_raw(&rig, 1, &in, sizeof(in), 200), sizeof(out));
		memcpy(&out, rig.memory + RIG_IN, sizeof(out));
		ck_assert_uint_eq(out.unique, uniques[i]);
		ck_assert_int_eq(out.error, 0);
	}
	stop();
}
END_TEST

START_TEST(t09_a_node_that_is_forgotten)
{
	struct {
		struct fuse_in_header head;
		struct fuse_forget_in body;
	} in = { .head = { .len = sizeof(in), .opcode = FUSE_FORGET }, .body = { .nlookup = 1 } };

	start(false, 0);
	in.head.nodeid = make("f", "text");
	fsd_raw(&rig, 1, &in, sizeof(in), 0);
	ck_assert_int_eq(get_attr(in.head.nodeid), -ESTALE);
	/* Its place in the table is another's. */
	ck_assert_uint_ne(make("g", "text"), in.head.nodeid);
	ck_assert_int_eq(get_attr(in.head.nodeid), -ESTALE);
	stop();
}
END_TEST

START_TEST(t10_sizes)
{
	struct {
		struct fuse_setxattr_in in;
		char body[32];
	} set = { .in.size = 6 };
	struct fuse_getxattr_in get = { .size = 0 };
	struct fuse_read_in list = { .size = 1 };
	struct fuse_getxattr_out size;
	size_t head = FUSE_COMPAT_SETXATTR_IN_SIZE;
	struct fuse_open_in open_in = { 0 };
	struct fuse_open_out out;
	uint64_t node;
	int64_t ret;

	start(true, 0);
	node = make("f", "text");
	ck_assert_int_gt(fsd_call(&rig, FUSE_OPENDIR, ROOT, &open_in, sizeof(open_in), NULL, 0,
				  &out, sizeof(out)),
			 0);
	list.fh = out.fh;
	for (size_t i = 0; i < 2; i++) {
		uint32_t opcode = i ? FUSE_READDIRPLUS : FUSE_READDIR;

		ret = fsd_call(&rig, opcode, ROOT, &list, sizeof(list), NULL, 0, NULL, 4096);
		ck_assert_msg(ret == 0 || ret == -EINVAL, "%lld", (long long)ret);
	}
	/* More is said than there is, and then less. */
	if (rig.fs->features & FUSE_SETXATTR_EXT)
		head = sizeof(set.in);
	memcpy((char *)&set + head, "user.a\0value", 12);
	ck_assert_int_eq(fsd_call(&rig, FUSE_SETXATTR, node, &set, head + 12, NULL, 0, NULL, 0),
			 -EINVAL);
	set.in.size = 5;
	ret = fsd_call(&rig, FUSE_SETXATTR, node, &set, head + 12, NULL, 0, NULL, 0);
	if (!ret) {
		ck_assert_int_eq(fsd_call(&rig, FUSE_GETXATTR, node, &get, sizeof(get), "user.a", 7,
					  &size, sizeof(size)),
				 sizeof(size));
		ck_assert_uint_eq(size.size, 5);
		get.size = 1;
		ck_assert_int_eq(fsd_call(&rig, FUSE_GETXATTR, node, &get, sizeof(get), "user.a", 7,
					  NULL, 100),
				 -ERANGE);
	}
	stop();
}
END_TEST

/* What stands behind a name's end is nobody's. */
START_TEST(t11_a_nul_ends_a_name)
{
	static const char bytes[] = "f\0/../../etc";
	struct fuse_rename_in in = { .newdir = ROOT };
	struct fuse_entry_out entry;
	uint64_t node;

	start(false, 0);
	node = make("f", "text");
	ck_assert_int_eq(fsd_call(&rig, FUSE_LOOKUP, ROOT, NULL, 0, bytes, sizeof(bytes), &entry,
				  sizeof(entry)),
			 sizeof(entry));
	ck_assert_uint_eq(entry.nodeid, node);
	/* Where a second name is due, it is that. */
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_RENAME, ROOT, &in, sizeof(in), bytes, sizeof(bytes), NULL, 0),
		-EINVAL);
	ck_assert_int_eq(fsd_call(&rig, FUSE_RENAME, ROOT, &in, sizeof(in), "f\0\0g", 5, NULL, 0),
			 -EINVAL);
	stop();
}
END_TEST

/* As a program of the host may leave them in the share. */
START_TEST(t15_devices_of_the_host)
{
	static const struct {
		const char *name;
		mode_t mode;
		unsigned int major, minor;
	} nodes[] = { { "memory", S_IFCHR, 1, 1 },
		      { "null", S_IFCHR, 1, 3 },
		      { "loop", S_IFBLK, 7, 0 },
		      { "socket", S_IFSOCK, 0, 0 } };
	struct fuse_setattr_in size = { .valid = FATTR_SIZE };
	char path[256];

	start(true, 0);
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		uint64_t node;
		int error;

		if (mknod(fsd_path(&rig, nodes[i].name, path), nodes[i].mode | 0666,
			  makedev(nodes[i].major, nodes[i].minor)))
			continue; /* an ordinary user */
		node = fsd_lookup(&rig, ROOT, nodes[i].name, &error);
		ck_assert_int_eq(error, 0);
		for (uint32_t flags = O_RDONLY; flags <= O_RDWR; flags++) {
			struct fuse_open_in in = { .flags = flags };

			ck_assert_int_eq(fsd_call(&rig, FUSE_OPEN, node, &in, sizeof(in), NULL, 0,
						  NULL, 100),
					 -ENXIO);
		}
		ck_assert_int_lt(
			fsd_call(&rig, FUSE_SETATTR, node, &size, sizeof(size), NULL, 0, NULL, 200),
			0);
	}
	stop();
}
END_TEST

START_TEST(t18_open_folders)
{
	struct fuse_open_in in = { 0 };
	int64_t ret = 0;
	int n;

	start(true, 50);
	make("f", "text");
	for (n = 0; n < MANY && ret >= 0; n++)
		ret = fsd_call(&rig, FUSE_OPENDIR, ROOT, &in, sizeof(in), NULL, 0, NULL,
			       sizeof(struct fuse_open_out));
	ck_assert_int_eq(ret, -ENFILE);
	ck_assert_int_le(n, 51);
	stop();
}
END_TEST

/* Each owner of a lock costs a descriptor, as the host knows them by that. */
START_TEST(t18_locks)
{
	struct fuse_lk_in in = { .lk = { .type = F_RDLCK } };
	struct fuse_open_in open_in = { .flags = O_RDWR };
	struct fuse_open_out out;
	uint64_t node;
	int64_t ret = 0;
	int n;

	start(true, 50);
	node = make("f", "text");
	ck_assert_int_gt(fsd_call(&rig, FUSE_OPEN, node, &open_in, sizeof(open_in), NULL, 0, &out,
				  sizeof(out)),
			 0);
	in.fh = out.fh;
	for (n = 0; n < MANY && !ret; n++) {
		in.owner = (uint64_t)n + 1;
		in.lk.start = in.lk.end = (uint64_t)n;
		ret = fsd_call(&rig, FUSE_SETLK, node, &in, sizeof(in), NULL, 0, NULL, 0);
	}
	ck_assert_msg(ret == -ENFILE || ret == -ENOLCK, "%lld", (long long)ret);
	ck_assert_int_le(n, 51);
	stop();
}
END_TEST

/* Also where the request comes in many pieces. */
START_TEST(t29_stopped_while_a_lock_is_waited_for)
{
	struct fuse_in_header in = { .len = sizeof(in) + sizeof(struct fuse_lk_in),
				     .opcode = FUSE_SETLKW,
				     .unique = 5 };
	struct fuse_lk_in lock = { .owner = 1, .lk = { .type = F_WRLCK } };
	struct flock on_host = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct vhost_user_vring_state state = { .index = 1 };
	struct raw_desc desc[2 + sizeof(lock) / 6];
	const uint16_t last = sizeof(desc) / sizeof(desc[0]) - 1;
	char path[256];
	int fd;

	start(true, 0);
	in.nodeid = make("f", "text");
	fd = open(fsd_path(&rig, "f", path), O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &on_host), 0);
	memcpy(rig.memory + RIG_OUT, &in, sizeof(in));
	desc[0] = (struct raw_desc){ RIG_GUEST_BASE + RIG_OUT, sizeof(in), VRING_DESC_F_NEXT, 1 };
	for (uint16_t i = 1; i < last; i++) {
		memcpy(rig.memory + RIG_OUT + 1024 * i, (char *)&lock + 6 * (i - 1), 6);
		desc[i] = (struct raw_desc){ RIG_GUEST_BASE + RIG_OUT + 1024 * i, 6,
					     VRING_DESC_F_NEXT, (uint16_t)(i + 1) };
	}
	desc[last] = (struct raw_desc){ RIG_GUEST_BASE + RIG_IN, 64, VRING_DESC_F_WRITE, 0 };
	fsd_ring_put(&rig, 1, desc, last + 1u);
	fsd_ring_kick(&rig, 1);
	while (!__atomic_load_n(&rig.fs->n_lock_waits, __ATOMIC_RELAXED))
		usleep(1000);
	ck_assert_int_eq(fsd_rig_message(&rig, VHOST_USER_GET_VRING_BASE, &state, sizeof(state),
					 NULL, 0, &state, sizeof(state)),
			 0);
	close(fd);
	fsd_rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_limits");
	TCase *limits = tcase_create("limits");

	tcase_set_timeout(limits, 60);
	tcase_add_test(limits, t09_uniques);
	tcase_add_test(limits, t09_a_node_that_is_forgotten);
	tcase_add_test(limits, t10_sizes);
	tcase_add_test(limits, t11_a_nul_ends_a_name);
	tcase_add_test(limits, t15_devices_of_the_host);
	tcase_add_test(limits, t18_open_folders);
	tcase_add_test(limits, t18_locks);
	tcase_add_test(limits, t29_stopped_while_a_lock_is_waited_for);
	suite_add_tcase(suite, limits);
	return unit_run(suite);
}
