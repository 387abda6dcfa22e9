// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge cp` out of a guest that is played by hand: what comes is in place when all of it came, and
// hostile archives write nowhere else.
#include <archive.h>
#include <archive_entry.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/copy.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/frame.h"
#include "tests/unit/unit.h"

#define ROOM (200 << 10) /* bytes of an archive: less than a stream's first credit */

struct play {
	int link;
	unsigned char *archive;
	size_t len; /* of what is sent */
	bool end, reset;
	const char *result;
	pthread_t thread;
};

struct fixture {
	char dir[32];
	struct archive *writer;
	unsigned char *bytes;
	size_t used;
	struct play play;
	const char *goal; /* the name here */
	bool silent; /* the guest does not reset what it cuts off */
};

static void put(const struct play *play, enum lodge_rpc_type type, uint16_t flags, uint32_t tag,
		const void *payload, size_t len)
{
	const struct frame frame = {
		.size = (uint32_t)len, .type = type, .flags = flags, .tag = tag
	};
	unsigned char header[LODGE_RPC_HEADER_SIZE];

	frame_build(&frame, header);
	(void)send(play->link, header, sizeof(header), MSG_NOSIGNAL);
	if (len)
		(void)send(play->link, payload, len, MSG_NOSIGNAL);
}

/* Answers each COMMAND with the archive, whatever it asks. */
static void *perform(void *opaque)
{
	struct play *play = opaque;
	unsigned char header[LODGE_RPC_HEADER_SIZE];
	char payload[LODGE_RPC_DATA_MAX + 1];
	struct frame frame;

	while (fd_read_all(play->link, header, sizeof(header)) == sizeof(header)) {
		ck_assert_int_eq(frame_parse(header, UINT32_MAX, &frame), 0);
		ck_assert_int_eq(fd_read_all(play->link, payload, frame.size), frame.size);
		if (frame.type != LODGE_RPC_COMMAND)
			continue;
		const char *fields = strchr(payload, ' ') + 1;
		size_t len = frame.size - (size_t)(fields - payload);
		uint32_t stream = (uint32_t)strtoul(fields_get(fields, len, "stdout"), NULL, 10);

		for (size_t at = 0; at < play->len; at += LODGE_RPC_DATA_MAX)
			put(play, LODGE_RPC_DATA, 0, stream, play->archive + at,
			    MIN(play->len - at, LODGE_RPC_DATA_MAX));
		if (play->end)
			put(play, LODGE_RPC_DATA, LODGE_RPC_F_END, stream, "", 0);
		if (play->reset)
			put(play, LODGE_RPC_RESET, 0, stream, "no", 2);
		if (play->result)
			put(play, LODGE_RPC_RESULT, 0, frame.tag, play->result,
			    strlen(play->result) + (*play->result == 'O'));
		if (!play->result)
			break;
	}
	close(play->link);
	return NULL;
}

static void begin(struct fixture *fixture)
{
	*fixture = (struct fixture){ .dir = "/tmp/copy-XXXXXX", .goal = "goal" };
	ck_assert_ptr_nonnull(mkdtemp(fixture->dir));
	ck_assert(!chdir(fixture->dir));
	ck_assert(!mkdir("here", 0755));
	fixture->bytes = calloc(1, ROOM);
	fixture->writer = archive_write_new();
	archive_write_set_format_pax(fixture->writer);
	ck_assert(
		!archive_write_open_memory(fixture->writer, fixture->bytes, ROOM, &fixture->used));
}

static void add(struct fixture *fixture, const char *path, mode_t mode, const char *link,
		const char *hard, const char *bytes)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, path);
	archive_entry_set_mode(entry, mode);
	archive_entry_set_size(entry, bytes ? (int64_t)strlen(bytes) : 0);
	archive_entry_set_mtime(entry, 1000000000, 5000);
	if (link)
		archive_entry_set_symlink(entry, link);
	if (hard)
		archive_entry_set_hardlink(entry, hard);
	ck_assert_int_eq(archive_write_header(fixture->writer, entry), 0);
	if (bytes)
		archive_write_data(fixture->writer, bytes, strlen(bytes));
	archive_entry_free(entry);
}

/* The status of copying what was added to here/goal. @cut bytes are missing at its end. */
static int get_as(struct fixture *fixture, size_t cut, const char *result, bool archive)
{
	struct copy copy = { .name = "box", .signals = -1, .archive = archive };
	int pair[2], status;

	archive_write_close(fixture->writer);
	ck_assert_uint_lt(cut, fixture->used);
	ck_assert(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	fixture->play = (struct play){ .link = pair[1],
				       .archive = fixture->bytes,
				       .len = fixture->used - cut,
				       .end = !cut,
				       .reset = cut > 0 && !fixture->silent,
				       .result = result };
	ck_assert_int_eq(guest_link_adopt(pair[0], &copy.link), 0);
	ck_assert(!pthread_create(&fixture->play.thread, NULL, perform, &fixture->play));
	status = copy_get(&copy, "/goal", "here", fixture->goal);
	guest_link_close(copy.link);
	pthread_join(fixture->play.thread, NULL);
	ck_assert(!chdir(fixture->dir));
	return status;
}

static int get_cut(struct fixture *fixture, size_t cut, const char *result)
{
	return get_as(fixture, cut, result, false);
}

static int get(struct fixture *fixture)
{
	return get_cut(fixture, 0, "OK bytes=1");
}

/* What is below here/, and what stands in here/goal. */
static char *listing(void)
{
	char *out = NULL;

	ck_assert(g_spawn_command_line_sync(
		"sh -c \"cd here; find . | LC_ALL=C sort | tr '\\n' ' '\"", &out, NULL, NULL,
		NULL));
	return out;
}

static void assert_listing(const char *wanted)
{
	g_autofree char *found = listing();

	ck_assert_str_eq(found, wanted);
}

static void finish(struct fixture *fixture)
{
	g_autofree char *remove = g_strdup_printf("rm -rf %s", fixture->dir);

	archive_write_free(fixture->writer);
	free(fixture->bytes);
	ck_assert(!chdir("/"));
	ck_assert(g_spawn_command_line_sync(remove, NULL, NULL, NULL, NULL));
}

START_TEST(a_file_and_its_mode)
{
	struct fixture fixture;
	struct stat st;
	g_autofree char *text = NULL;

	begin(&fixture);
	add(&fixture, "any-name", S_IFREG | 04751, NULL, NULL, "text");
	ck_assert_int_eq(get(&fixture), 0);
	assert_listing(". ./goal ");
	ck_assert(!stat("here/goal", &st));
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0751);
	ck_assert_int_eq(st.st_mtim.tv_sec, 1000000000);
	ck_assert_int_eq(st.st_mtim.tv_nsec, 5000);
	ck_assert(g_file_get_contents("here/goal", &text, NULL, NULL));
	ck_assert_str_eq(text, "text");
	finish(&fixture);
}
END_TEST

static void add_folder(struct fixture *fixture)
{
	add(fixture, "d/", S_IFDIR | 0500, NULL, NULL, NULL);
	add(fixture, "d/file", S_IFREG | 0644, NULL, NULL, "new");
	add(fixture, "d/hard", S_IFREG | 0644, NULL, "d/file", NULL);
	add(fixture, "d/link", S_IFLNK | 0777, "/etc", NULL, NULL);
	add(fixture, "d/device", S_IFCHR | 0666, NULL, NULL, NULL);
	add(fixture, "d/sub", S_IFDIR | 0755, NULL, NULL, NULL);
	add(fixture, "d/sub/x", S_IFREG | 0644, NULL, NULL, "x");
}

START_TEST(a_folder_new_and_into_one)
{
	struct fixture fixture;
	struct stat st;
	g_autofree char *text = NULL;

	begin(&fixture);
	add_folder(&fixture);
	ck_assert_int_eq(get(&fixture), 0);
	assert_listing(". ./goal ./goal/file ./goal/hard ./goal/link ./goal/sub ./goal/sub/x ");
	ck_assert(!stat("here/goal", &st));
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 0500);
	ck_assert_int_eq(st.st_mtim.tv_sec, 1000000000);
	ck_assert(!lstat("here/goal/link", &st) && S_ISLNK(st.st_mode));
	finish(&fixture);
	begin(&fixture);
	ck_assert(!mkdir("here/goal", 0755));
	ck_assert(g_file_set_contents("here/goal/own", "own", -1, NULL));
	ck_assert(g_file_set_contents("here/goal/file", "old", -1, NULL));
	add_folder(&fixture);
	ck_assert_int_eq(get(&fixture), 0);
	assert_listing(". ./goal ./goal/file ./goal/hard ./goal/link ./goal/own ./goal/sub "
		       "./goal/sub/x ");
	ck_assert(g_file_get_contents("here/goal/file", &text, NULL, NULL));
	ck_assert_str_eq(text, "new");
	finish(&fixture);
}
END_TEST

START_TEST(what_is_cut_off_leaves_nothing)
{
	struct fixture fixture;
	g_autofree char *big = g_strnfill(100000, 'x');

	for (int way = 0; way < 3; way++) {
		begin(&fixture);
		add(&fixture, "d/", S_IFDIR | 0755, NULL, NULL, NULL);
		add(&fixture, "d/big", S_IFREG | 0644, NULL, NULL, big);
		if (way == 0)
			ck_assert_int_ne(get_cut(&fixture, 60000, "ERROR 5 disk trouble"), 0);
		else if (way == 1)
			ck_assert_int_eq(get_cut(&fixture, 60000, NULL), EX_UNAVAILABLE);
		else
			ck_assert_int_ne(get_cut(&fixture, 0, "ERROR 13 not all of it"), 0);
		assert_listing(". ");
		finish(&fixture);
	}
}
END_TEST

/* What was there before is whole, and what came before the cut is there. */
START_TEST(what_is_cut_off_spoils_no_file_that_is_there)
{
	struct fixture fixture;
	g_autofree char *big = g_strnfill(100000, 'x');
	g_autofree char *text = NULL;

	begin(&fixture);
	fixture.silent = true;
	ck_assert(!mkdir("here/goal", 0755));
	ck_assert(g_file_set_contents("here/goal/big", "old", -1, NULL));
	add(&fixture, "d/", S_IFDIR | 0755, NULL, NULL, NULL);
	add(&fixture, "d/a", S_IFREG | 0644, NULL, NULL, "a");
	add(&fixture, "d/big", S_IFREG | 0644, NULL, NULL, big);
	ck_assert_int_ne(get_cut(&fixture, 60000, "ERROR 5 disk trouble"), 0);
	assert_listing(". ./goal ./goal/a ./goal/big ");
	ck_assert(g_file_get_contents("here/goal/big", &text, NULL, NULL));
	ck_assert(!strcmp(text, "old"));
	finish(&fixture);
}
END_TEST

/* Of a folder that its owner may not look into, nothing stays either. */
START_TEST(what_is_cut_off_leaves_no_closed_folder)
{
	struct fixture fixture;
	bool root = !geteuid();

	begin(&fixture);
	ck_assert(!root || (!chown(fixture.dir, 65534, 0) && !chown("here", 65534, 0)));
	ck_assert(!root || !seteuid(65534));
	add(&fixture, "d/", S_IFDIR | 0755, NULL, NULL, NULL);
	add(&fixture, "d/a", S_IFDIR | 0, NULL, NULL, NULL);
	add(&fixture, "d/a/b", S_IFDIR | 0, NULL, NULL, NULL);
	add(&fixture, "d/a/b/file", S_IFREG | 0, NULL, NULL, "x");
	ck_assert_int_ne(get_cut(&fixture, 0, "ERROR 13 not all of it"), 0);
	ck_assert(!root || !seteuid(0));
	assert_listing(". ");
	finish(&fixture);
}
END_TEST

/* As long as a file system takes it. */
START_TEST(names_may_be_long)
{
	struct fixture fixture;
	g_autofree char *name = g_strnfill(NAME_MAX, 'n');
	g_autofree char *found = g_strconcat(". ./", name, " ", NULL);

	begin(&fixture);
	fixture.goal = name;
	add(&fixture, name, S_IFREG | 0644, NULL, NULL, "text");
	ck_assert_int_eq(get(&fixture), 0);
	assert_listing(found);
	finish(&fixture);
}
END_TEST

/* What the last copy said on standard error. */
static char *said_by(struct fixture *fixture, int wanted)
{
	char *said = NULL;
	int before = dup(STDERR_FILENO), out = open("said", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int status;

	ck_assert(before >= 0 && out >= 0 && dup2(out, STDERR_FILENO) == STDERR_FILENO);
	status = get(fixture);
	ck_assert_int_eq(dup2(before, STDERR_FILENO), STDERR_FILENO);
	close(before);
	close(out);
	ck_assert_int_eq(status, wanted);
	ck_assert(g_file_get_contents("said", &said, NULL, NULL));
	return said;
}

START_TEST(this_hosts_troubles_are_not_the_guests)
{
	struct fixture fixture;
	bool root = !geteuid();
	g_autofree char *said = NULL;

	begin(&fixture);
	add(&fixture, "d", S_IFREG | 0644, NULL, NULL, "text");
	ck_assert(!chmod("here", 0555) && !chmod(fixture.dir, 0777));
	ck_assert(!root || !seteuid(65534));
	said = said_by(&fixture, EX_NOPERM);
	ck_assert(!root || !seteuid(0));
	ck_assert_str_eq(said, "lodge: goal: cannot be written: Permission denied; make room "
			       "there, or choose another place\n");
	ck_assert(!chmod("here", 0755));
	finish(&fixture);
}
END_TEST

START_TEST(hostile_archives)
{
	static const struct {
		const char *path, *link, *hard;
		mode_t mode;
	} rows[] = {
		{ "../out", NULL, NULL, S_IFREG | 0644 },
		{ "d/../../out", NULL, NULL, S_IFREG | 0644 },
		{ "/tmp/out-of-copy", NULL, NULL, S_IFREG | 0644 },
		{ "dd/out", NULL, NULL, S_IFREG | 0644 },
		{ "d/hard", NULL, "/etc/passwd", S_IFREG | 0644 },
		{ "d/hard", NULL, "d/../../outside", S_IFREG | 0644 },
		{ "d/up/out", NULL, NULL, S_IFREG | 0644 },
		{ "d", "/tmp", NULL, S_IFLNK | 0777 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct fixture fixture;

		begin(&fixture);
		ck_assert(g_file_set_contents("outside", "secret", -1, NULL));
		add(&fixture, "d", S_IFDIR | 0755, NULL, NULL, NULL);
		add(&fixture, "d/up", S_IFLNK | 0777, "../..", NULL, NULL);
		add(&fixture, rows[i].path, rows[i].mode, rows[i].link, rows[i].hard,
		    rows[i].mode == (S_IFREG | 0644) && !rows[i].hard ? "evil" : NULL);
		add(&fixture, "d/later", S_IFREG | 0644, NULL, NULL, "evil");
		ck_assert_msg(get(&fixture) != 0, "row %zu", i);
		assert_listing(". ");
		ck_assert(access("out", F_OK) && access("/tmp/out-of-copy", F_OK));
		ck_assert(access("/tmp/later", F_OK));
		finish(&fixture);
	}
}
END_TEST

START_TEST(links_without_end)
{
	struct fixture fixture;

	begin(&fixture);
	add(&fixture, "goal", S_IFLNK | 0777, "goal", NULL, NULL);
	ck_assert_int_eq(get(&fixture), EX_NOINPUT);
	assert_listing(". ");
	finish(&fixture);
}
END_TEST

START_TEST(bytes_that_are_no_archive)
{
	struct fixture fixture;

	begin(&fixture);
	add(&fixture, "x", S_IFREG | 0644, NULL, NULL, "x");
	archive_write_close(fixture.writer);
	memset(fixture.bytes, 'x', fixture.used);
	ck_assert_int_ne(get(&fixture), 0);
	assert_listing(". ");
	finish(&fixture);
}
END_TEST

/* ---- cp -a ---- */

/* "user.x=1" and attributes that are nobody's but the machine's own, of another owner. */
static void add_attributed(struct fixture *fixture, const char *path, mode_t mode)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, path);
	archive_entry_set_mode(entry, mode);
	archive_entry_set_uid(entry, 4321);
	archive_entry_set_gid(entry, 4322);
	archive_entry_xattr_add_entry(entry, "user.x", "1", 1);
	archive_entry_xattr_add_entry(entry, "trusted.x", "1", 1);
	archive_entry_xattr_add_entry(entry, "security.capability",
				      "\1\0\0\2\377\377\377\377\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	ck_assert_int_eq(archive_write_header(fixture->writer, entry), 0);
	archive_entry_free(entry);
}

/* Whether this file system has attributes for users, and what @path has of @name. */
static bool has_attribute(const char *path, const char *name)
{
	char value[64];

	return lgetxattr(path, name, value, sizeof(value)) > 0;
}

static bool attributes_work(void)
{
	return g_file_set_contents("probe", "", 0, NULL) &&
	       !setxattr("probe", "user.x", "1", 1, 0) && has_attribute("probe", "user.x");
}

START_TEST(only_users_attributes_come_and_only_when_asked_for)
{
	struct fixture fixture;
	struct stat st;
	bool archive = _i == 1, owned = archive && !geteuid();

	begin(&fixture);
	add(&fixture, "d/", S_IFDIR | 0755, NULL, NULL, NULL);
	add_attributed(&fixture, "d/f", S_IFREG | 06755);
	ck_assert_int_eq(get_as(&fixture, 0, "OK bytes=1", archive), 0);
	ck_assert(!lstat("here/goal/f", &st));
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0755);
	ck_assert_uint_eq(st.st_uid, owned ? 4321 : geteuid());
	ck_assert_uint_eq(st.st_gid, owned ? 4322 : getegid());
	ck_assert(has_attribute("here/goal/f", "user.x") == (archive && attributes_work()));
	ck_assert(!has_attribute("here/goal/f", "trusted.x"));
	ck_assert(!has_attribute("here/goal/f", "security.capability"));
	finish(&fixture);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli_copy");
	TCase *tcase = tcase_create("get");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_file_and_its_mode);
	tcase_add_test(tcase, a_folder_new_and_into_one);
	tcase_add_test(tcase, what_is_cut_off_leaves_nothing);
	tcase_add_test(tcase, what_is_cut_off_spoils_no_file_that_is_there);
	tcase_add_test(tcase, what_is_cut_off_leaves_no_closed_folder);
	tcase_add_test(tcase, names_may_be_long);
	tcase_add_test(tcase, this_hosts_troubles_are_not_the_guests);
	tcase_add_test(tcase, hostile_archives);
	tcase_add_test(tcase, links_without_end);
	tcase_add_test(tcase, bytes_that_are_no_archive);
	tcase_add_loop_test(tcase, only_users_attributes_come_and_only_when_asked_for, 0, 2);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
