// SPDX-License-Identifier: GPL-2.0-or-later
/* What READDIR and READDIRPLUS reply: names of every length and any bytes, whatever the room. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

#define NAMES	 255 /* of 1 to 255 bytes */
#define ROOM_MAX 8192

static struct fsd_rig rig;
static _Alignas(8) uint8_t entries[ROOM_MAX];

/* Bytes that look like an end to arithmetic on words of them: 0x01 behind a 0, 0x80, 0xff. */
static void make_name(char *name, size_t len)
{
	static const char bytes[] = { 'a', '\x01', '\x80', '\xff', '\x7f' };

	for (size_t i = 0; i < len; i++)
		name[i] = bytes[(i + len) % sizeof(bytes)];
	name[len] = '\0';
}

static void make_files(void)
{
	char name[NAMES + 1];
	int dir = open(rig.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ge(dir, 0);
	for (size_t len = 1; len <= NAMES; len++) {
		make_name(name, len);
		ck_assert_int_eq(mknodat(dir, name, S_IFREG | 0644, 0), 0);
	}
	close(dir);
}

/* Checks an entry; the bytes that it takes. */
static size_t check_entry(const uint8_t *place, size_t left, bool plus, unsigned int *seen,
			  uint64_t *offset)
{
	size_t head = plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
	const struct fuse_dirent *entry =
		(const struct fuse_dirent *)(place + head - FUSE_NAME_OFFSET);
	size_t size = FUSE_REC_ALIGN(head + entry->namelen);
	char name[NAMES + 1];

	ck_assert_uint_le(size, left);
	ck_assert_uint_ge(entry->namelen, 1);
	ck_assert_uint_le(entry->namelen, NAMES);
	for (size_t i = head + entry->namelen; i < size; i++)
		ck_assert_uint_eq(place[i], 0);
	*offset = entry->off;
	if (entry->name[0] == '.')
		return size;
	make_name(name, entry->namelen);
	ck_assert_mem_eq(entry->name, name, entry->namelen);
	ck_assert_uint_eq(entry->type, S_IFREG >> 12);
	seen[entry->namelen]++;
	return size;
}

/* Lists all by requests of @room bytes: each name once. */
static void list(uint32_t opcode, uint32_t room)
{
	struct fuse_read_in in = { .fh = fsd_opendir(&rig, FUSE_ROOT_ID).fh, .size = room };
	const struct fuse_release_in release = { .fh = in.fh };
	unsigned int seen[NAMES + 1] = { 0 };
	int64_t len;

	while ((len = fsd_call(&rig, opcode, FUSE_ROOT_ID, &in, sizeof(in), NULL, 0, entries,
			       sizeof(entries))) > 0) {
		ck_assert_int_le(len, room);
		for (size_t at = 0; at < (size_t)len;)
			at += check_entry(entries + at, (size_t)len - at,
					  opcode == FUSE_READDIRPLUS, seen, &in.offset);
	}
	ck_assert_int_eq(len, 0);
	for (size_t i = 1; i <= NAMES; i++)
		ck_assert_msg(seen[i] == 1, "a name of %zu bytes, room %u: %u times", i, room,
			      seen[i]);
	fsd_call(&rig, FUSE_RELEASEDIR, FUSE_ROOT_ID, &release, sizeof(release), NULL, 0, NULL, 0);
}

START_TEST(each_name_once)
{
	static const uint32_t rooms[] = { 280, 287, 288, 1000, 4096, 4097, ROOM_MAX };

	fsd_rig_start(&rig, &(struct fsd_rig_options){ 0 });
	make_files();
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		list(FUSE_READDIR, rooms[i]);
		list(FUSE_READDIRPLUS, rooms[i] + 128);
	}
	fsd_rig_stop(&rig);
}
END_TEST

/* Linux would take "nothing" for the folder's end. */
START_TEST(too_small_a_room_is_told)
{
	struct fuse_read_in in = { .size = 279 };
	int64_t len;

	fsd_rig_start(&rig, &(struct fsd_rig_options){ 0 });
	make_files();
	in.fh = fsd_opendir(&rig, FUSE_ROOT_ID).fh;
	do {
		unsigned int seen[NAMES + 1] = { 0 };

		len = fsd_call(&rig, FUSE_READDIR, FUSE_ROOT_ID, &in, sizeof(in), NULL, 0, entries,
			       sizeof(entries));
		for (size_t at = 0; len > 0 && at < (size_t)len;)
			at += check_entry(entries + at, (size_t)len - at, false, seen, &in.offset);
	} while (len > 0);
	ck_assert_int_eq(len, -EINVAL); /* the name of 255 bytes needs 280 */
	fsd_rig_stop(&rig);
}
END_TEST

/* Entries behind an offset that some guest makes up are the host's matter, not a crash. */
START_TEST(any_offset_is_taken)
{
	static const uint64_t offsets[] = { 1, 7, 1000, INT64_MAX, 1ULL << 63, UINT64_MAX };
	struct fuse_read_in in = { .size = 4096 };

	fsd_rig_start(&rig, &(struct fsd_rig_options){ 0 });
	make_files();
	in.fh = fsd_opendir(&rig, FUSE_ROOT_ID).fh;
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		in.offset = offsets[i];
		ck_assert_int_le(fsd_call(&rig, FUSE_READDIR, FUSE_ROOT_ID, &in, sizeof(in), NULL,
					  0, entries, sizeof(entries)),
				 4096);
	}
	in.offset = 0;
	ck_assert_int_gt(fsd_call(&rig, FUSE_READDIR, FUSE_ROOT_ID, &in, sizeof(in), NULL, 0,
				  entries, sizeof(entries)),
			 0);
	fsd_rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_listing");
	TCase *tcase = tcase_create("listing");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, each_name_once);
	tcase_add_test(tcase, too_small_a_room_is_told);
	tcase_add_test(tcase, any_offset_is_taken);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
