// SPDX-License-Identifier: GPL-2.0-or-later
// run.conf as lodge-init reads it, and as the host writes it.
#include <check.h>
#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include <lodge/run_conf.h>

#include "guest-daemon/init/init.h"
#include "host-vmm/cli/initramfs.h"
#include "tests/unit/unit.h"

static void conf_free(struct run_conf *conf)
{
	free(conf->modules.list);
	free(conf->late_modules.list);
	free(conf->shares.list);
	free(conf->read_only_shares.list);
	free(conf->env.list);
	free(conf->args.list);
}

START_TEST(what_the_host_writes_is_read)
{
	g_autoptr(GByteArray) text = g_byte_array_new();
	struct run_conf conf;
	const char *bad;

	run_conf_add(text, LODGE_RUN_CONF_MODE, "run");
	run_conf_add(text, LODGE_RUN_CONF_MODULE, "a.ko");
	run_conf_add(text, LODGE_RUN_CONF_MODULE, "b.ko");
	run_conf_add(text, LODGE_RUN_CONF_LATE_MODULE, "c.ko");
	run_conf_add(text, LODGE_RUN_CONF_ROOT, "root");
	run_conf_add(text, LODGE_RUN_CONF_SHARE, "x=y");
	run_conf_add(text, LODGE_RUN_CONF_SHARE_RO, "z");
	run_conf_add(text, LODGE_RUN_CONF_HOSTNAME, "h");
	run_conf_add(text, LODGE_RUN_CONF_TERMINAL, "24x80");
	run_conf_add(text, LODGE_RUN_CONF_USER, "me");
	run_conf_add(text, LODGE_RUN_CONF_CWD, "/");
	run_conf_add(text, LODGE_RUN_CONF_TOOLS, "/usr/bin/lodged");
	run_conf_add(text, LODGE_RUN_CONF_ENV, "A=B=C");
	run_conf_add(text, LODGE_RUN_CONF_ARG, "");
	run_conf_add(text, LODGE_RUN_CONF_ARG, "a\nb");
	ck_assert_int_eq(conf_parse((char *)text->data, text->len, &conf, &bad), 0);
	ck_assert(!conf.hello);
	ck_assert_uint_eq(conf.modules.n, 2);
	ck_assert_str_eq(conf.modules.list[1], "b.ko");
	ck_assert_str_eq(conf.late_modules.list[0], "c.ko");
	ck_assert_str_eq(conf.root, "root");
	ck_assert_str_eq(conf.tools, "/usr/bin/lodged");
	ck_assert_str_eq(conf.shares.list[0], "x=y");
	ck_assert_str_eq(conf.read_only_shares.list[0], "z");
	ck_assert_str_eq(conf.env.list[0], "A=B=C");
	ck_assert_str_eq(conf.args.list[0], "");
	ck_assert_str_eq(conf.args.list[1], "a\nb");
	ck_assert_ptr_null(conf.args.list[2]);
	conf_free(&conf);
}
END_TEST

#define TEXT(literal)                    \
	{                                \
		literal, sizeof(literal) \
	}

static const struct {
	const char *text;
	size_t len; /* the NUL that ends the literal is the last record's */
} malformed[] = {
	{ "", 0 },
	{ "mode=run", 8 },
	TEXT(""),
	TEXT("arg=x"),
	TEXT("mode=walk\0arg=x"),
	TEXT("mode=run"),
	TEXT("mode=run\0arg"),
	TEXT("mode=run\0nothing=x\0arg=x"),
	TEXT("mode=run\0\0arg=x"),
	TEXT("mode=run\0root=a\0root=b\0arg=x"),
	TEXT("mode=run\0mode=run\0arg=x"),
	{ "mode=run\0arg=x", 14 },
};

START_TEST(malformed_files_are_refused)
{
	g_autofree char *text = g_memdup2(malformed[_i].text, malformed[_i].len);
	struct run_conf conf;
	const char *bad = NULL;

	ck_assert_int_eq(conf_parse(text, malformed[_i].len, &conf, &bad), -EINVAL);
	ck_assert_ptr_nonnull(bad);
	conf_free(&conf);
}
END_TEST

START_TEST(hello_needs_nothing_more)
{
	char text[] = "mode=hello";
	struct run_conf conf;
	const char *bad;

	ck_assert_int_eq(conf_parse(text, sizeof(text), &conf, &bad), 0);
	ck_assert(conf.hello);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("run.conf");
	TCase *tcase = tcase_create("run.conf");

	tcase_add_test(tcase, what_the_host_writes_is_read);
	tcase_add_loop_test(tcase, malformed_files_are_refused, 0, G_N_ELEMENTS(malformed));
	tcase_add_test(tcase, hello_needs_nothing_more);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
