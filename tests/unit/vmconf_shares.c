// SPDX-License-Identifier: GPL-2.0-or-later
// Shares that come to vm.conf and go from it, and the words of their rules.
#include <check.h>
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "host-vmm/conf/vmconf.h"
#include "tests/unit/unit.h"

#define BOOT "[boot]\nkernel=/k\n"
#define DOCS "[share docs]\npath=/docs\n"

static char *add(const char *text, const struct vm_share *share, int error)
{
	g_autofree char *message = NULL;
	char *made = NULL;

	ck_assert_int_eq(vm_config_add_share("/vms/box", "vm.conf", text, share, &made, &message),
			 error);
	ck_assert_int_eq(message != NULL, error != 0);
	return made;
}

static char *drop(const char *text, const char *name, int error)
{
	g_autofree char *message = NULL;
	char *made = NULL;

	ck_assert_int_eq(vm_config_remove_share("/vms/box", "vm.conf", text, name, &made, &message),
			 error);
	ck_assert_int_eq(message != NULL, error != 0);
	return made;
}

static const char *const texts[] = {
	BOOT,
	"# mine\n\n" BOOT "# the end\n",
	BOOT "\n# of memory\n[memory]\nsize=1G\n",
	BOOT "\n[share a]\npath=/a\n# kept\n",
	"[boot]\n  # odd  \n\n\nkernel = /k\n\n",
};

START_TEST(a_share_comes_and_goes_without_a_trace)
{
	const struct vm_share share = { .name = (char *)"two words", .path = (char *)"/a b" };
	const char *before = texts[_i];
	g_autofree char *made = add(before, &share, 0);
	g_autofree char *after = drop(made, share.name, 0);
	size_t len = strlen(before);

	ck_assert(g_str_has_prefix(made, before));
	ck_assert_ptr_nonnull(strstr(made, "\n[share two words]\npath=/a b\n"));
	/* Of blank lines at the end one may be gone. */
	ck_assert(!strcmp(after, before) ||
		  (!strncmp(after, before, len - 1) && !after[len - 1] && before[len - 1] == '\n'));
}
END_TEST

START_TEST(rules_are_written_and_read)
{
	const struct vm_share share = {
		.name = (char *)"docs",
		.path = (char *)"/docs",
		.rules = { .read_only = true,
			   .owner = { VM_OWNER_IDS, 5, 6 },
			   .file_mask = 0111,
			   .dir_mask = 022 },
	};
	g_autofree char *made = add(BOOT, &share, 0);
	g_autofree char *message = NULL;
	struct vm_config *config;
	const struct vm_share_rules *rules;

	ck_assert_str_eq(made,
			 BOOT "\n" DOCS "read-only=yes\nowner=5:6\nfile-mask=111\ndir-mask=022\n");
	ck_assert_int_eq(
		vm_config_parse("/vms/box", "vm.conf", made, strlen(made), &config, &message), 0);
	rules = &config->shares[0].rules;
	ck_assert(rules->read_only);
	ck_assert_int_eq(rules->owner.kind, VM_OWNER_IDS);
	ck_assert_uint_eq(rules->owner.uid, 5);
	ck_assert_uint_eq(rules->owner.gid, 6);
	ck_assert_uint_eq(rules->file_mask, 0111);
	ck_assert_uint_eq(rules->dir_mask, 022);
	vm_config_free(config);
}
END_TEST

START_TEST(what_stands_around_a_share_stays)
{
	static const char before[] = "# top\n" BOOT "\n# about docs\n" DOCS
				     "# inside\nread-only=yes\n\n# of memory\n[memory]\nsize=1G\n";
	g_autofree char *after = drop(before, "docs", 0);

	ck_assert_str_eq(after,
			 "# top\n" BOOT "\n# about docs\n\n# of memory\n[memory]\nsize=1G\n");
}
END_TEST

START_TEST(what_will_not_do_changes_nothing)
{
	char longest[VM_SHARE_NAME_MAX + 1], too_long[VM_SHARE_NAME_MAX + 2];
	struct vm_share share = { .name = (char *)"docs", .path = (char *)"/docs" };

	memset(longest, 'n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	memset(too_long, 'n', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	ck_assert_ptr_null(add(BOOT DOCS, &share, -EEXIST));
	ck_assert_ptr_null(drop(BOOT DOCS, "doc", -ENOENT));
	/* What is wrong may be what goes. */
	g_free(drop(BOOT DOCS "colour=red\n", "docs", 0));
	share.name = longest;
	g_free(add(BOOT, &share, 0));
	share.name = too_long;
	ck_assert_ptr_null(add(BOOT, &share, -EINVAL));
	/* A file that is not sound is not made longer. */
	share.name = (char *)"docs";
	ck_assert_ptr_null(add("[boot]\nkernel\n", &share, -EINVAL));
}
END_TEST

START_TEST(words_of_rules)
{
	static const char *const bad_owners[] = { "",	"root",	 "1",	 "1:",
						  ":1", "1:2:3", "-1:1", "1:4294967295" };
	static const char *const bad_masks[] = { "", "9", "1000", "-1", "0x1", "rwx" };
	struct vm_share_rules rules = { 0 };
	unsigned int mask = 1;

	for (size_t i = 0; i < G_N_ELEMENTS(bad_owners); i++)
		ck_assert_int_eq(vm_parse_owner(bad_owners[i], &rules), -EINVAL);
	for (size_t i = 0; i < G_N_ELEMENTS(bad_masks); i++)
		ck_assert_int_eq(vm_parse_mask(bad_masks[i], &mask), -EINVAL);
	ck_assert_int_eq(vm_parse_owner("4294967294:0", &rules), 0);
	ck_assert_uint_eq(rules.owner.uid, 4294967294u);
	ck_assert_int_eq(vm_parse_mask("0777", &mask), 0);
	ck_assert_uint_eq(mask, 0777);
	ck_assert_int_eq(vm_parse_mask("0", &mask), 0);
	ck_assert_uint_eq(mask, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vmconf_shares");
	TCase *tcase = tcase_create("shares");

	tcase_add_loop_test(tcase, a_share_comes_and_goes_without_a_trace, 0, G_N_ELEMENTS(texts));
	tcase_add_test(tcase, rules_are_written_and_read);
	tcase_add_test(tcase, what_stands_around_a_share_stays);
	tcase_add_test(tcase, what_will_not_do_changes_nothing);
	tcase_add_test(tcase, words_of_rules);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
