// SPDX-License-Identifier: GPL-2.0-or-later
/* The small parts of lodge-fsd: slot numbers, share options, share names, inode numbers, the lines
 * of the control socket, which files are mapped. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "shared-fs/server/control.h"
#include "shared-fs/server/dax.h"
#include "shared-fs/server/options.h"
#include "shared-fs/server/request.h"
#include "tests/unit/unit.h"

struct thing {
	struct slot slot;
	uint64_t value;
};

START_TEST(ids_are_not_reused)
{
	struct slots *slots = calloc(1, sizeof(*slots));
	struct thing *thing;
	uint64_t first;
	uint64_t second;

	ck_assert_int_eq(slots_init(slots, sizeof(struct thing)), 0);
	thing = slots_alloc(slots);
	first = slot_id(&thing->slot);
	ck_assert_uint_eq(first, 1);
	thing->value = 7;
	ck_assert_ptr_eq(slots_get(slots, first), thing);
	slots_free(slots, thing);
	ck_assert_ptr_null(slots_get(slots, first));
	thing = slots_alloc(slots);
	second = slot_id(&thing->slot);
	ck_assert_uint_ne(first, second);
	ck_assert_uint_eq(thing->value, 0);
	ck_assert_ptr_null(slots_get(slots, first));
	ck_assert_ptr_null(slots_get(slots, 0));
	ck_assert_ptr_null(slots_get(slots, UINT64_MAX));
	for (int i = 0; i < 1000; i++)
		ck_assert_ptr_nonnull(slots_alloc(slots));
	ck_assert_ptr_eq(slots_get(slots, second), thing); /* objects do not move */
	ck_assert_uint_eq(slots->n_used, 1001);
	slots_fini(slots);
	free(slots);
}
END_TEST

static const struct {
	const char *text;
	int ret;
	const char *name;
	const char *path;
	bool read_only;
	bool owner;
} options[] = {
	{ "a=/x", 0, "a", "/x", false, false },
	{ "a=/x:ro", 0, "a", "/x", true, false },
	{ "a=/x:owner=1:2", 0, "a", "/x", false, true },
	{ "a=/x:ro:owner=1:2", 0, "a", "/x", true, true },
	{ "a=/x:owner=1:2:ro", 0, "a", "/x", true, true },
	{ "a=/x:exact:ro", 0, "a", "/x", true, false },
	{ "a=/x:mask=022:0:ro", 0, "a", "/x", true, false },
	{ "a=/x:owner=1:2:mask=111:77", 0, "a", "/x", false, true },
	{ "a=/x:exact/y", 0, "a", "/x:exact/y", false, false },
	{ "a=/x:y", 0, "a", "/x:y", false, false },
	{ "a=/x=y", 0, "a", "/x=y", false, false },
	{ "\xc3\xa4 b=/x", 0, "\xc3\xa4 b", "/x", false, false },
	{ "a", -EINVAL, NULL, NULL, false, false },
	{ "=/x", -EINVAL, NULL, NULL, false, false },
	{ "a=", -EINVAL, NULL, NULL, false, false },
	{ "a=:ro", -EINVAL, NULL, NULL, false, false },
	{ ".=/x", -EINVAL, NULL, NULL, false, false },
	{ "..=/x", -EINVAL, NULL, NULL, false, false },
	{ "a/b=/x", -EINVAL, NULL, NULL, false, false },
	{ "a=/x:mask=1000:0", -EINVAL, NULL, NULL, false, false },
	{ "a=/x:mask=22", -EINVAL, NULL, NULL, false, false },
	{ "a=/x:mask=9:0", -EINVAL, NULL, NULL, false, false },
	{ "a=/x:exact:owner=1:2", -EINVAL, NULL, NULL, false, false },
	{ "a=/x:owner=1", -EINVAL, NULL, NULL, false, false },
	{ "a=/x:owner=1:", -EINVAL, NULL, NULL, false, false },
	{ "a=/x:owner=-1:1", -EINVAL, NULL, NULL, false, false },
	{ "a=/x:owner=4294967295:1", -EINVAL, NULL, NULL, false, false },
	{ "\xff=/x", -EINVAL, NULL, NULL, false, false },
	{ "\xc0\xaf=/x", -EINVAL, NULL, NULL, false, false },
	{ "\xed\xa0\x80=/x", -EINVAL, NULL, NULL, false, false },
	{ "\xf4\x90\x80\x80=/x", -EINVAL, NULL, NULL, false, false },
	{ "\xe2\x82=/x", -EINVAL, NULL, NULL, false, false },
};

/* An object with the id that it had in another table, wherever there is room. */
START_TEST(objects_are_placed)
{
	static const uint32_t places[] = { 7, 3, 255, 256, 600, 1, SLOTS_CHUNK * SLOTS_CHUNKS - 1 };
	struct slots *slots = calloc(1, sizeof(*slots));
	const uint64_t above = 5ull << 32 | 9u << SLOT_INDEX_BITS;
	struct thing *thing;

	ck_assert_ptr_nonnull(slots);
	ck_assert_int_eq(slots_init(slots, sizeof(struct thing)), 0);
	slots->era = 10;
	ck_assert_ptr_nonnull(slots_alloc(slots));
	ck_assert_ptr_null(slots_place(slots, above | 1)); /* taken */
	ck_assert_ptr_null(slots_place(slots, above));
	ck_assert_ptr_null(slots_place(slots, UINT64_MAX));
	ck_assert_ptr_null(slots_place(slots, above | (SLOTS_CHUNK * SLOTS_CHUNKS + 1)));
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		uint64_t id = above | (places[i] + 1);

		thing = slots_place(slots, id);
		ck_assert_ptr_nonnull(thing);
		ck_assert_uint_eq(slot_id(&thing->slot), id);
		ck_assert_ptr_eq(slots_get(slots, id), thing);
		ck_assert_ptr_null(slots_place(slots, id));
		ck_assert_ptr_null(slots_get(slots, id + (1ull << 32)));
	}
	slots_recover(slots);
	ck_assert_uint_eq(slots->n_used, 8);
	/* The others' places are as good as ever. */
	for (int i = 0; i < 1000; i++) {
		thing = slots_alloc(slots);
		ck_assert_ptr_nonnull(thing);
		ck_assert_uint_eq(thing->slot.era, 10);
		ck_assert_ptr_eq(slots_get(slots, slot_id(&thing->slot)), thing);
	}
	ck_assert_uint_eq(slots->n_used, 1008);
	thing = slots_get(slots, above | 8);
	slots_free(slots, thing);
	ck_assert_ptr_null(slots_get(slots, above | 8));
	slots_fini(slots);
	free(slots);
}
END_TEST

START_TEST(share_options)
{
	struct share_option share;

	ck_assert_int_eq(share_option_parse(options[_i].text, true, &share), options[_i].ret);
	if (options[_i].ret)
		return;
	ck_assert_str_eq(share.name, options[_i].name);
	ck_assert_str_eq(share.path, options[_i].path);
	ck_assert_int_eq(share.read_only, options[_i].read_only);
	ck_assert_int_eq(share.owner.active, options[_i].owner);
	if (share.owner.active) {
		ck_assert_uint_eq(share.owner.uid, 1);
		ck_assert_uint_eq(share.owner.gid, 2);
	}
	free(share.path);
}
END_TEST

START_TEST(names_have_255_bytes_at_most)
{
	char name[300] = "";

	memset(name, 'n', 255);
	ck_assert_int_eq(share_name_check(name), 0);
	name[255] = 'n';
	ck_assert_int_eq(share_name_check(name), -EINVAL);
	ck_assert_int_eq(share_name_check(""), -EINVAL);
}
END_TEST

static struct fs *make_fs(void)
{
	struct fs_config config = { .fd_limit = 100 };
	struct fs *fs;

	ck_assert_int_eq(fs_create(&config, &fs), 0);
	return fs;
}

START_TEST(inode_numbers_of_two_devices_differ)
{
	struct fs *fs = make_fs();
	uint64_t big = 1ULL << 60;

	ck_assert_uint_eq(shown_ino(fs, 0, 10, 5), 5);
	ck_assert_uint_eq(shown_ino(fs, 0, 10, big), big);
	ck_assert_uint_ne(shown_ino(fs, 0, 11, 5), 5);
	ck_assert_uint_ne(shown_ino(fs, 1, 10, 5), 5);
	ck_assert_uint_ne(shown_ino(fs, 1, 10, 5), shown_ino(fs, 0, 11, 5));
	ck_assert_uint_eq(shown_ino(fs, 1, 10, 5), shown_ino(fs, 1, 10, 5));
	ck_assert_uint_ne(shown_ino(fs, 1, 10, big), shown_ino(fs, 1, 11, big));
	for (uint64_t dev = 0; dev < 2 * INO_PREFIXES_MAX; dev++)
		shown_ino(fs, 2, dev, 5);
	ck_assert_uint_ne(shown_ino(fs, 3, 9999, 5), shown_ino(fs, 3, 9998, 5));
	fs_destroy(fs);
}
END_TEST

/* Sends @line, with a descriptor of @folder if not NULL; what comes back is in @answer. */
static void say(struct control *control, int peer, const char *line, const char *folder,
		char answer[4096])
{
	autofd fd = folder ? open(folder, O_PATH | O_CLOEXEC) : -1;
	ssize_t got;

	ck_assert_int_eq(fd_send(peer, line, strlen(line), &fd, fd >= 0), 0);
	control_serve(control);
	got = recv(peer, answer, 4095, MSG_DONTWAIT);
	answer[got > 0 ? got : 0] = 0;
}

/* What a server that is started anew is told: what it has already stays as it is. */
START_TEST(control_keeps)
{
	char folder[] = "/tmp/lodge-keep-XXXXXX";
	struct fs *fs = make_fs();
	struct control control;
	char answer[4096];
	int pair[2], gone;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	gone = open(folder, O_PATH | O_CLOEXEC);
	ck_assert_int_eq(rmdir(folder), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	control_init(&control, fs, -1, pair[0]);
	say(&control, pair[1], "keep tmp ro\n", "/tmp", answer);
	ck_assert_str_eq(answer, "ok\n");
	say(&control, pair[1], "keep tmp\n", "/", answer);
	ck_assert_str_eq(answer, "ok\n");
	say(&control, pair[1], "keep nothing\n", NULL, answer);
	ck_assert_int_eq(strncmp(answer, "error ", 6), 0);
	ck_assert_int_eq(fd_send(pair[1], "keep gone\n", 10, &gone, 1), 0);
	control_serve(&control);
	ck_assert_int_gt(recv(pair[1], answer, sizeof(answer), MSG_DONTWAIT), 18);
	ck_assert_int_eq(strncmp(answer, "error No such file", 18), 0);
	say(&control, pair[1], "list\n", NULL, answer);
	ck_assert_str_eq(answer, "share tmp ro\nok\n");
	close(gone);
	close(pair[1]);
	control_fini(&control);
	fs_destroy(fs);
}
END_TEST

START_TEST(control_lines)
{
	struct fs *fs = make_fs();
	struct control control;
	char answer[4096];
	char *big;
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	control_init(&control, fs, -1, pair[0]);
	say(&control, pair[1], "list\n", NULL, answer);
	ck_assert_str_eq(answer, "ok\n");
	say(&control, pair[1], "add tmp\n", "/tmp", answer);
	ck_assert_str_eq(answer, "ok\n");
	say(&control, pair[1], "add tmp\n", "/tmp", answer);
	ck_assert_int_eq(strncmp(answer, "error ", 6), 0);
	say(&control, pair[1], "add a%20b%25 ro owner=7:8\n", "/", answer);
	ck_assert_str_eq(answer, "ok\n");
	say(&control, pair[1], "li", NULL, answer);
	ck_assert_str_eq(answer, "");
	say(&control, pair[1], "st\n", NULL, answer);
	ck_assert_str_eq(answer, "share tmp rw\nshare a%20b%25 ro owner=7:8\nok\n");
	say(&control, pair[1], "add nothing\n", NULL, answer);
	ck_assert_int_eq(strncmp(answer, "error ", 6), 0);
	say(&control, pair[1], "add file\n", "/etc/passwd", answer);
	ck_assert_int_eq(strncmp(answer, "error ", 6), 0);
	say(&control, pair[1], "add x rw\n", "/tmp", answer);
	ck_assert_int_eq(strncmp(answer, "error ", 6), 0);
	say(&control, pair[1], "add ..\n", "/tmp", answer);
	ck_assert_int_eq(strncmp(answer, "error ", 6), 0);
	say(&control, pair[1], "remove tmp\nremove tmp\n", NULL, answer);
	ck_assert_int_eq(strncmp(answer, "ok\nerror ", 9), 0);
	say(&control, pair[1], "\n", NULL, answer);
	ck_assert_int_eq(strncmp(answer, "error ", 6), 0);
	big = calloc(1, CONTROL_LINE_MAX + 1);
	memset(big, 'x', CONTROL_LINE_MAX);
	say(&control, pair[1], big, NULL, answer);
	ck_assert_int_eq(strncmp(answer, "error ", 6), 0);
	ck_assert_int_eq(control.fd, -1);
	free(big);
	close(pair[1]);
	control_fini(&control);
	fs_destroy(fs);
}
END_TEST

/* Where pages are small and nobody asked for all files. */
START_TEST(mapped_by_file_system)
{
	struct fs *fs = calloc(1, sizeof(*fs));
	const struct share large = { .large_pages = true }, small = { 0 };
	const struct statx stx = { .stx_mode = S_IFREG | 0644, .stx_size = DAX_FILE_MIN };

	fs->features = FUSE_HAS_INODE_DAX;
	ck_assert_uint_eq(dax_attr_flags(fs, &small, &stx), FUSE_ATTR_DAX);
	fs->config.dax_auto = true;
	ck_assert_uint_eq(dax_attr_flags(fs, &small, &stx), 0);
	ck_assert_uint_eq(dax_attr_flags(fs, &large, &stx), FUSE_ATTR_DAX);
	free(fs);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_tables");
	TCase *tcase = tcase_create("tables");

	tcase_add_test(tcase, ids_are_not_reused);
	tcase_add_test(tcase, objects_are_placed);
	tcase_add_loop_test(tcase, share_options, 0, sizeof(options) / sizeof(options[0]));
	tcase_add_test(tcase, names_have_255_bytes_at_most);
	tcase_add_test(tcase, inode_numbers_of_two_devices_differ);
	tcase_add_test(tcase, control_lines);
	tcase_add_test(tcase, control_keeps);
	tcase_add_test(tcase, mapped_by_file_system);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
