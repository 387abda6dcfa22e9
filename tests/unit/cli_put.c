// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge cp` into a guest that is played by hand: what is sent, and what is told of what cannot be.
#include <archive.h>
#include <archive_entry.h>
#include <check.h>
#include <endian.h>
#include <fcntl.h>
#include <glib.h>
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

struct guest {
	int link;
	GByteArray *taken; /* what was sent to it */
	const char *shrinks; /* a file that does when the first of it came; or NULL */
	pthread_t thread;
};

static char dir[] = "/tmp/put-XXXXXX";

static void begin(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert(!chdir(dir));
	ck_assert(!mkdir("d", 0750));
}

static void finish(void)
{
	g_autofree char *remove = g_strdup_printf("rm -rf %s", dir);

	ck_assert(!chdir("/"));
	ck_assert(g_spawn_command_line_sync(remove, NULL, NULL, NULL, NULL));
}

static void put(const struct guest *guest, enum lodge_rpc_type type, uint32_t tag,
		const void *payload, size_t len)
{
	const struct frame frame = { .size = (uint32_t)len, .type = type, .tag = tag };
	unsigned char header[LODGE_RPC_HEADER_SIZE];

	frame_build(&frame, header);
	(void)send(guest->link, header, sizeof(header), MSG_NOSIGNAL);
	(void)send(guest->link, payload, len, MSG_NOSIGNAL);
}

/* Takes what one COMMAND sends, and says that it went well. */
static void *collect(void *opaque)
{
	struct guest *guest = opaque;
	unsigned char header[LODGE_RPC_HEADER_SIZE];
	char payload[LODGE_RPC_DATA_MAX + 1];
	uint32_t tag = 0, more;
	struct frame frame;

	while (fd_read_all(guest->link, header, sizeof(header)) == sizeof(header)) {
		ck_assert_int_eq(frame_parse(header, UINT32_MAX, &frame), 0);
		ck_assert_int_eq(fd_read_all(guest->link, payload, frame.size), frame.size);
		if (frame.type == LODGE_RPC_COMMAND)
			tag = frame.tag;
		if (frame.type != LODGE_RPC_DATA)
			continue;
		g_byte_array_append(guest->taken, (const guint8 *)payload, frame.size);
		if (guest->shrinks)
			ck_assert(!truncate(guest->shrinks, 1000));
		more = htole32(frame.size);
		put(guest, LODGE_RPC_CREDIT, frame.tag, &more, sizeof(more));
		if (frame.flags & LODGE_RPC_F_END)
			put(guest, LODGE_RPC_RESULT, tag, "OK bytes=1", sizeof("OK bytes=1"));
	}
	close(guest->link);
	return NULL;
}

/* The archive that comes to the guest, of the folder d. */
static GByteArray *put_tree(bool archive, const char *shrinks, int status)
{
	struct copy copy = { .name = "box", .signals = -1, .archive = archive };
	struct guest guest = { .taken = g_byte_array_new(), .shrinks = shrinks };
	int pair[2];

	ck_assert(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	guest.link = pair[1];
	ck_assert_int_eq(guest_link_adopt(pair[0], &copy.link), 0);
	ck_assert(!pthread_create(&guest.thread, NULL, collect, &guest));
	ck_assert_int_eq(copy_put_tree(&copy, "d", "/root", "there"), status);
	guest_link_close(copy.link);
	pthread_join(guest.thread, NULL);
	return guest.taken;
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

/* d/: "file" with the second name "twin"; "holes" with one byte behind a megabyte of nothing. */
static void make_tree(void)
{
	int fd;

	ck_assert(g_file_set_contents("d/file", "text", 4, NULL) && !chmod("d/file", 04711));
	ck_assert(!link("d/file", "d/twin"));
	(void)setxattr("d/file", "user.x", "1", 1, 0);
	fd = open("d/holes", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	ck_assert(pwrite(fd, "x", 1, 1 << 20) == 1 && !ftruncate(fd, 3 << 20));
	close(fd);
}

static void check_sent(struct archive_entry *entry, bool archive)
{
	const char *path = archive_entry_pathname(entry);
	bool file = g_str_has_suffix(path, "/file") || g_str_has_suffix(path, "/twin");

	ck_assert(g_str_has_prefix(path, "there"));
	ck_assert_int_eq(archive_entry_uid(entry), archive ? geteuid() : 0);
	if (file && !archive_entry_hardlink(entry)) {
		ck_assert_uint_eq(archive_entry_perm(entry), archive ? 04711 : 0711);
		ck_assert((archive_entry_xattr_count(entry) > 0) == (archive && attributes_work()));
	}
	if (g_str_has_suffix(path, "/holes"))
		ck_assert_int_eq(archive_entry_size(entry), 3 << 20);
}

START_TEST(links_and_holes_go_as_they_are)
{
	struct archive *reader = archive_read_new();
	struct archive_entry *entry;
	unsigned int entries = 0, links = 0;
	GByteArray *sent;

	make_tree();
	sent = put_tree(_i == 1, NULL, 0);
	ck_assert_uint_lt(sent->len, 500000);
	archive_read_support_format_tar(reader);
	ck_assert(!archive_read_open_memory(reader, sent->data, sent->len));
	while (archive_read_next_header(reader, &entry) == ARCHIVE_OK) {
		entries++;
		links += archive_entry_hardlink(entry) != NULL;
		check_sent(entry, _i == 1);
	}
	ck_assert_uint_eq(entries, 4);
	ck_assert_uint_eq(links, 1);
	archive_read_free(reader);
	g_byte_array_unref(sent);
}
END_TEST

/* Zeroes in place of what was there are no copy of it, and nobody may take them for one. */
START_TEST(a_file_that_gets_shorter_is_told)
{
	g_autofree char *big = g_strnfill(2 << 20, 'x');
	GByteArray *sent;

	ck_assert(g_file_set_contents("d/file", big, 2 << 20, NULL));
	sent = put_tree(false, "d/file", EX_NOINPUT);
	ck_assert_uint_gt(sent->len, 2 << 20);
	g_byte_array_unref(sent);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli_put");
	TCase *tcase = tcase_create("put");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, begin, finish);
	tcase_add_loop_test(tcase, links_and_holes_go_as_they_are, 0, 2);
	tcase_add_test(tcase, a_file_that_gets_shorter_is_told);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
