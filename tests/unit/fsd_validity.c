// SPDX-License-Identifier: GPL-2.0-or-later
/* How long a guest may take names for what they were: close-to-open, and what --cache says else. */
#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

static struct fsd_rig rig;

static const char *const names[] = { "file", "link", "pipe", "dir" };

#define NAMES (sizeof(names) / sizeof(names[0]))
#define DIR   (NAMES - 1)

static void start(enum cache_mode cache)
{
	int dir;

	fsd_rig_start(&rig, &(struct fsd_rig_options){ .config.cache = cache });
	dir = open(rig.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir, 0);
	ck_assert_int_eq(mknodat(dir, "file", S_IFREG | 0644, 0), 0);
	ck_assert_int_eq(symlinkat("file", dir, "link"), 0);
	ck_assert_int_eq(mkfifoat(dir, "pipe", 0644), 0);
	ck_assert_int_eq(mkdirat(dir, "dir", 0755), 0);
	close(dir);
}

static uint64_t valid_ns(const struct fuse_entry_out *entry)
{
	return entry->entry_valid * 1000000000 + entry->entry_valid_nsec;
}

/* What LOOKUP says of names[]. */
static void look(uint64_t valid[NAMES])
{
	struct fuse_entry_out entry;

	for (size_t i = 0; i < NAMES; i++) {
		ck_assert_int_eq(fsd_call(&rig, FUSE_LOOKUP, FUSE_ROOT_ID, names[i],
					  strlen(names[i]) + 1, NULL, 0, &entry, sizeof(entry)),
				 sizeof(entry));
		valid[i] = valid_ns(&entry);
	}
}

/* And READDIRPLUS. */
static void list(uint64_t valid[NAMES])
{
	static _Alignas(8) uint8_t reply[4096];
	struct fuse_read_in in = { .fh = fsd_opendir(&rig, FUSE_ROOT_ID).fh,
				   .size = sizeof(reply) };
	int64_t len = fsd_call(&rig, FUSE_READDIRPLUS, FUSE_ROOT_ID, &in, sizeof(in), NULL, 0,
			       reply, sizeof(reply));
	unsigned int seen = 0;

	for (int64_t at = 0; at < len;) {
		const struct fuse_direntplus *plus = (const struct fuse_direntplus *)(reply + at);

		for (size_t i = 0; i < NAMES; i++) {
			if (plus->dirent.namelen != strlen(names[i]) ||
			    memcmp(plus->dirent.name, names[i], plus->dirent.namelen))
				continue;
			valid[i] = valid_ns(&plus->entry_out);
			seen++;
		}
		at += (int64_t)FUSE_DIRENTPLUS_SIZE(plus);
	}
	ck_assert_uint_eq(seen, NAMES);
}

/* Linux takes that for a tick. Not for nothing: it would drop what it has cached of the file. */
#define LEAST 1

/* open(2) has to ask for the last name of its path, and gets what the host has closed. */
START_TEST(a_file_is_asked_for_at_open)
{
	uint64_t valid[NAMES];

	start(CACHE_AUTO);
	look(valid);
	for (size_t i = 0; i < DIR; i++)
		ck_assert_uint_eq(valid[i], LEAST);
	ck_assert_uint_eq(valid[DIR], 1000000000);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(a_new_file_too)
{
	struct fuse_create_in in = { .flags = O_RDWR, .mode = 0644 };
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out;

	start(CACHE_AUTO);
	ck_assert_int_eq(fsd_call(&rig, FUSE_CREATE, FUSE_ROOT_ID, &in, sizeof(in), "new", 4, &out,
				  sizeof(out)),
			 sizeof(out));
	ck_assert_uint_eq(valid_ns(&out.entry), LEAST);
	fsd_rig_stop(&rig);
}
END_TEST

/* Or ls -l would ask for each name that it has just been told all about. */
START_TEST(what_was_just_listed_is_not)
{
	uint64_t valid[NAMES];

	start(CACHE_AUTO);
	list(valid);
	for (size_t i = 0; i < NAMES; i++) {
		ck_assert_uint_gt(valid[i], LEAST);
		ck_assert_uint_le(valid[i], 1000000000);
	}
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(never_is_never)
{
	uint64_t valid[NAMES];

	start(CACHE_NEVER);
	look(valid);
	for (size_t i = 0; i < NAMES; i++)
		ck_assert_uint_eq(valid[i], 0);
	list(valid);
	for (size_t i = 0; i < NAMES; i++)
		ck_assert_uint_eq(valid[i], 0);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(always_is_a_day)
{
	uint64_t valid[NAMES];

	start(CACHE_ALWAYS);
	look(valid);
	for (size_t i = 0; i < NAMES; i++)
		ck_assert_uint_eq(valid[i], 86400ULL * 1000000000);
	list(valid);
	for (size_t i = 0; i < NAMES; i++)
		ck_assert_uint_eq(valid[i], 86400ULL * 1000000000);
	fsd_rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_validity");
	TCase *tcase = tcase_create("validity");

	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, a_file_is_asked_for_at_open);
	tcase_add_test(tcase, a_new_file_too);
	tcase_add_test(tcase, what_was_just_listed_is_not);
	tcase_add_test(tcase, never_is_never);
	tcase_add_test(tcase, always_is_a_day);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
