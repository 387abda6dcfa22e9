// SPDX-License-Identifier: GPL-2.0-or-later
/* mount.lodge: its command line, the messages it looks into, the mounts it sees. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "shared-fs/guest/device.h"
#include "shared-fs/guest/message.h"
#include "shared-fs/guest/mounts.h"
#include "shared-fs/guest/options.h"
#include "tests/unit/unit.h"

static int parse(struct mount_options *options, const char *line)
{
	static char words[256];
	char *argv[16] = { (char *)"mount.lodge" };
	char *rest = words;
	int argc = 1;

	snprintf(words, sizeof(words), "%s", line);
	while (rest && *rest)
		argv[argc++] = strsep(&rest, " ");
	argv[argc] = NULL;
	return options_parse(options, argc, argv);
}

START_TEST(what_mount_8_says_is_understood)
{
	struct mount_options options;

	ck_assert_int_eq(parse(&options, "docs /mnt/docs -o rw"), 0);
	ck_assert_str_eq(options.source, "docs");
	ck_assert_str_eq(options.folder, "/mnt/docs");
	ck_assert_str_eq(options.tag, "lodge");
	ck_assert_uint_eq(options.flags, 0);
	ck_assert_int_eq(options.way, WAY_ANY);
	ck_assert_int_eq(
		parse(&options, "docs /mnt -s -f -n -v -o ro,nosuid,_netdev,x-systemd.automount"),
		0);
	ck_assert(options.sloppy && options.fake && options.verbose);
	ck_assert_uint_eq(options.flags, MS_RDONLY | MS_NOSUID);
	ck_assert_int_eq(
		parse(&options, "-t fuse.lodge -vN /proc/1/ns/mnt docs /mnt -oro -o user,dev,rw"),
		0);
	ck_assert_str_eq(options.source, "docs");
	ck_assert_uint_eq(options.flags, MS_NOSUID | MS_NOEXEC);
	ck_assert_int_eq(parse(&options, "a/b /mnt -o tag=other,way=lodge_fs,dax=never"), 0);
	ck_assert_str_eq(options.tag, "other");
	ck_assert_str_eq(options.dax, "never");
	ck_assert_int_eq(options.way, WAY_LODGE_FS);
	ck_assert_int_eq(parse(&options, "a /mnt -o way=rpc"), 0);
	ck_assert_int_eq(options.way, WAY_RPC);
	ck_assert(!options.foreground);
	ck_assert_int_eq(options.messages_fd, -1);
	ck_assert_int_eq(parse(&options, "a /mnt -o way=rpc,way=auto"), 0);
	ck_assert_int_eq(options.way, WAY_ANY);
	ck_assert_int_eq(parse(&options, "--foreground a /mnt --messages-fd=3 -o way=rpc"), 0);
	ck_assert(options.foreground);
	ck_assert_int_eq(options.messages_fd, 3);
	ck_assert_int_eq(parse(&options, "a /mnt -o rw,user=ann,async,nofail,noauto,_netdev"), 0);
	ck_assert_uint_eq(options.flags, 0);
	ck_assert(!options.remount);
	/* What mount(8) has found in mountinfo is among them. */
	ck_assert_int_eq(parse(&options, "a /mnt -o ro,relatime,max_read=131072,remount,nosuid"),
			 0);
	ck_assert(options.remount);
	ck_assert_uint_eq(options.flags, MS_RDONLY | MS_RELATIME | MS_NOSUID);
	ck_assert_int_eq(parse(&options, "--which -o tag=x"), 0);
	ck_assert(options.which && !options.source);
}
END_TEST

START_TEST(what_is_wrong_is_named)
{
	static const struct {
		const char *line;
		const char *bad;
	} cases[] = {
		{ "docs /mnt -o ro,sometimes", "sometimes" },
		{ "docs /mnt -o way=9p", "way=9p" },
		{ "docs /mnt -o dax=often", "dax=often" },
		{ "docs /mnt -o tag=", "tag=" },
		{ "docs /mnt -o tag=1234567890123456789012345678901234567",
		  "tag=1234567890123456789012345678901234567" },
		{ "docs /mnt third", "third" },
		{ "docs", "no folder" },
		{ "-o ro", "no share" },
		{ "docs /mnt -o", "-o" },
		{ "docs /mnt -z", "-z" },
		{ "docs /mnt --fast", "--fast" },
		{ "docs /mnt --messages-fd=", "--messages-fd=" },
		{ "docs /mnt --messages-fd=3x", "--messages-fd=3x" },
		{ "docs /mnt --messages-fd=99999", "--messages-fd=99999" },
	};
	struct mount_options options;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(parse(&options, cases[i].line), -EINVAL);
		ck_assert_uint_eq(options.bad_len, strlen(cases[i].bad));
		ck_assert_int_eq(strncmp(options.bad, cases[i].bad, options.bad_len), 0);
	}
	ck_assert_int_eq(parse(&options, "docs /mnt -s -o ro,sometimes"), 0);
	ck_assert_int_eq(parse(&options, "docs /mnt -o ro,sometimes -s"), 0);
}
END_TEST

START_TEST(a_source_is_a_path_in_the_device)
{
	static const struct {
		const char *source;
		const char *path; /* NULL: refused */
	} cases[] = {
		{ "lodge", "" },       { "/", "" },
		{ "docs", "docs" },    { "docs/", "docs" },
		{ "/lodge", "lodge" }, { "a//b/c", "a/b/c" },
		{ "a/..", NULL },      { "..", NULL },
		{ "./lodge", NULL },   { "a b/\xc3\xa4", "a b/\xc3\xa4" },
	};
	struct mount_options options;
	char path[16];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		options = (struct mount_options){ .source = cases[i].source, .tag = "lodge" };
		ck_assert_int_eq(options_path(&options, path, sizeof(path)),
				 cases[i].path ? 0 : -EINVAL);
		if (cases[i].path)
			ck_assert_str_eq(path, cases[i].path);
	}
	options.source = "fifteen-letters";
	ck_assert_int_eq(options_path(&options, path, sizeof(path)), -ENAMETOOLONG);
}
END_TEST

START_TEST(tags_are_names_of_files)
{
	ck_assert(device_tag_ok("lodge") && device_tag_ok("a.b_c-1"));
	ck_assert(!device_tag_ok("") && !device_tag_ok("..") && !device_tag_ok("-x"));
	ck_assert(!device_tag_ok("a/b") && !device_tag_ok("a b"));
	ck_assert(device_tag_ok("123456789012345678901234567890123456"));
	ck_assert(!device_tag_ok("1234567890123456789012345678901234567"));
}
END_TEST

START_TEST(replies_are_checked)
{
	struct {
		struct fuse_out_header header;
		uint8_t data[64];
	} reply = { .header = { .len = 40, .unique = 7 } };

	ck_assert(message_is_reply(7, &reply, 40));
	ck_assert(!message_is_reply(8, &reply, 40));
	ck_assert(!message_is_reply(7, &reply, 41));
	ck_assert(!message_is_reply(7, &reply, 39));
	ck_assert(!message_is_reply(7, &reply, 15));
	ck_assert(!message_is_reply(7, &reply, 0));
	reply.header.error = -EIO;
	ck_assert(!message_is_reply(7, &reply, 40));
	reply.header.len = 16;
	ck_assert(message_is_reply(7, &reply, 16));
	reply.header.error = -512;
	ck_assert(!message_is_reply(7, &reply, 16));
	reply.header.error = 1;
	ck_assert(!message_is_reply(7, &reply, 16));
	/* 0 is a notification's, which the host could make up. */
	reply.header.error = 0;
	reply.header.unique = 0;
	ck_assert(!message_is_reply(0, &reply, 16));
}
END_TEST

START_TEST(replies_have_room)
{
	struct {
		struct fuse_in_header header;
		struct fuse_read_in read;
	} request = { .header = { .len = sizeof(request), .opcode = FUSE_READ },
		      .read = { .size = 1 << 20 } };
	uint32_t most = (1 << 20) + 4096;

	ck_assert_uint_ge(message_reply_room(&request, sizeof(request), most), (1 << 20) + 16);
	ck_assert_uint_eq(message_reply_room(&request, sizeof(request), 8192), 8192);
	request.read.size = UINT32_MAX;
	ck_assert_uint_eq(message_reply_room(&request, sizeof(request), most), most);
	/* Cut off before its size. */
	ck_assert_uint_ge(message_reply_room(&request, 44, most), 4096 + 16);
	request.header.opcode = FUSE_LOOKUP;
	ck_assert_uint_le(message_reply_room(&request, sizeof(request), most), 8192);
}
END_TEST

struct init_reply {
	struct fuse_out_header header;
	struct message_init out;
};

START_TEST(init_is_fitted_to_the_slots)
{
	struct init_reply reply = { .out = { .major = 7,
					     .minor = 38,
					     .flags = FUSE_MAX_PAGES,
					     .max_pages = 256,
					     .max_write = 1 << 20 } };

	ck_assert_int_eq(message_limit_init(&reply, sizeof(reply), 1 << 20), 1 << 20);
	ck_assert_uint_eq(reply.out.max_write, 1 << 20);
	ck_assert_int_eq(message_limit_init(&reply, sizeof(reply), 480 << 10), 480 << 10);
	ck_assert_uint_eq(reply.out.max_pages, 120);
	ck_assert_uint_eq(reply.out.max_write, 480 << 10);
	/* Without MAX_PAGES, and before it, the kernel sends 128 KiB at most. */
	reply.out.flags = 0;
	ck_assert_int_eq(message_limit_init(&reply, sizeof(reply), 1 << 20), 128 << 10);
	ck_assert_uint_eq(reply.out.max_write, 128 << 10);
	reply.out = (struct message_init){ .major = 7, .minor = 22, .max_write = 1 << 20 };
	ck_assert_int_eq(message_limit_init(&reply, 16 + FUSE_COMPAT_22_INIT_OUT_SIZE, 1 << 20),
			 128 << 10);
	ck_assert_uint_eq(reply.out.max_write, 128 << 10);

	ck_assert_int_eq(message_limit_init(&reply, 39, 1 << 20), -EPROTO);
	ck_assert_int_eq(message_limit_init(&reply, 3, 1 << 20), -EPROTO);
	reply.out.major = 8;
	ck_assert_int_eq(message_limit_init(&reply, sizeof(reply), 1 << 20), -EPROTO);
	reply.header.error = -EPERM;
	ck_assert_int_eq(message_limit_init(&reply, 16, 1 << 20), -EPERM);
	reply.header.error = 5;
	ck_assert_int_eq(message_limit_init(&reply, 16, 1 << 20), -EPROTO);
}
END_TEST

START_TEST(long_forgets_are_cut)
{
	enum { N = 1000 };
	struct {
		struct fuse_in_header header;
		struct fuse_batch_forget_in batch;
		struct fuse_forget_one one[N];
	} *request = calloc(1, sizeof(*request));
	uint64_t part[512];
	struct message_cut cut;
	uint32_t next = 0;
	size_t n;

	request->header.opcode = FUSE_BATCH_FORGET;
	request->batch.count = N;
	for (uint32_t i = 0; i < N; i++)
		request->one[i] = (struct fuse_forget_one){ i, i + 1 };
	ck_assert(message_cut_begin(&cut, request, sizeof(*request)));
	while ((n = message_cut_next(&cut, part, sizeof(part)))) {
		const struct fuse_in_header *header = (const void *)part;
		const struct fuse_batch_forget_in *batch = (const void *)(header + 1);
		const struct fuse_forget_one *one = (const void *)(batch + 1);

		ck_assert_uint_eq(header->len, n);
		ck_assert_uint_eq(header->opcode, FUSE_BATCH_FORGET);
		ck_assert_uint_eq(n, 48 + batch->count * sizeof(*one));
		ck_assert_uint_le(n, sizeof(part));
		for (uint32_t i = 0; i < batch->count; i++, next++)
			ck_assert(one[i].nodeid == next && one[i].nlookup == next + 1);
	}
	ck_assert_uint_eq(next, N);
	request->batch.count = N + 1;
	ck_assert(!message_cut_begin(&cut, request, sizeof(*request)));
	ck_assert(!message_cut_begin(&cut, request, 47));
	free(request);
}
END_TEST

static void look(const char *text, struct mounts_seen *seen)
{
	FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");

	mounts_look(file, "/run/lodge-fs/lodge", seen);
	fclose(file);
}

START_TEST(mounts_of_a_device_are_counted)
{
	struct mounts_seen seen;

	look("25 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n", &seen);
	ck_assert(!seen.there);
	look("25 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
	     "31 25 0:40 /a /mnt/a\\040b rw - fuse.lodge lodge rw\n"
	     "30 25 0:40 / /run/lodge-fs/lodge rw - fuse.lodge lodge rw\n"
	     "32 25 0:41 / /mnt/b rw - fuse.lodge other rw\n"
	     "33 25 0:40 /c /mnt/c ro shared:3 master:1 - fuse.lodge lodge rw\n",
	     &seen);
	ck_assert(seen.there);
	ck_assert_uint_eq(seen.others, 2);
	ck_assert_str_eq(seen.device, "0:40");
	ck_assert_str_eq(seen.type, "fuse.lodge");
	look("30 25 0:40 /\n", &seen);
	ck_assert(!seen.there);
}
END_TEST

/* What others have mounted keeps nobody from the shares. */
START_TEST(mounts_of_others_may_be_odd)
{
	static const char *const odd[] = {
		"31 25 0:44 / /mnt/a rw - tmpfs  rw\n", /* mount("", ...) */
		"31 25 0:44 / /mnt/a rw - fuse.sshfs %0300d rw\n",
		"31 25 0:44 / /mnt/a rw - fuse.%0100d x rw\n",
		"31 25 0:44 / /%05000d rw - tmpfs x rw\n",
		"31 25 0:44 / /mnt/a rw -\n",
		"\n",
	};
	struct mounts_seen seen;
	char text[8192];

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		int n = snprintf(text, sizeof(text), odd[i], 7);

		snprintf(text + n, sizeof(text) - (size_t)n,
			 "30 25 0:40 / /run/lodge-fs/lodge rw - fuse.lodge lodge rw\n");
		look(text, &seen);
		ck_assert_msg(seen.there, "%s", odd[i]);
		ck_assert_uint_eq(seen.others, 0);
	}
}
END_TEST

/* A name that is too long is cut, one that is not there is empty. */
START_TEST(sources_are_any_text)
{
	char text[512];
	const char *at = text;
	struct mount_line line;

	snprintf(text, sizeof(text),
		 "1 0 0:1 / /a rw - tmpfs  rw\n2 0 0:2 / /b rw - nfs4 h:/%0300d rw\n", 7);
	ck_assert(mountinfo_next(&at, &line));
	ck_assert_str_eq(line.source, "");
	ck_assert(mountinfo_next(&at, &line));
	ck_assert_str_eq(line.point, "/b");
	ck_assert_uint_eq(strlen(line.source), sizeof(line.source) - 1);
	ck_assert(!mountinfo_next(&at, &line));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mount_lodge");
	TCase *tcase = tcase_create("case");

	tcase_add_test(tcase, what_mount_8_says_is_understood);
	tcase_add_test(tcase, what_is_wrong_is_named);
	tcase_add_test(tcase, a_source_is_a_path_in_the_device);
	tcase_add_test(tcase, tags_are_names_of_files);
	tcase_add_test(tcase, replies_are_checked);
	tcase_add_test(tcase, replies_have_room);
	tcase_add_test(tcase, init_is_fitted_to_the_slots);
	tcase_add_test(tcase, long_forgets_are_cut);
	tcase_add_test(tcase, mounts_of_a_device_are_counted);
	tcase_add_test(tcase, mounts_of_others_may_be_odd);
	tcase_add_test(tcase, sources_are_any_text);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
