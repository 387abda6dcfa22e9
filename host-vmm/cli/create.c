// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge create`: makes a VM's folder and a vm.conf that people can go on from.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/hostcheck.h"
#include "host-vmm/cli/kernel.h"
#include "host-vmm/cli/paths.h"
#include "host-vmm/cli/vm_options.h"
#include "host-vmm/conf/file.h"
#include "host-vmm/conf/words.h"
#include "protocol/lib/fd.h"

static const char head[] =
	" A VM of Lodge; vm.conf(5) tells all groups and keys. Edit it by hand or by lodge set.";

static void set_flag(GKeyFile *file, const char *group, const char *key, bool flag)
{
	if (flag)
		g_key_file_set_string(file, group, key, "yes");
}

static int add_disks(GKeyFile *file, char **disks)
{
	for (unsigned int i = 0; disks && disks[i]; i++) {
		g_autofree char *group = g_strdup_printf("disk disk%u", i);
		g_autofree char *message = NULL;
		struct vm_disk disk;

		if (vm_options_parse_disk(disks[i], &disk, &message))
			return fail(EX_USAGE, "--disk: %s", message);
		vm_set_text(file, group, "file", disk.file);
		set_flag(file, group, "read-only", disk.read_only);
		set_flag(file, group, "direct", disk.direct);
		g_free(disk.file);
	}
	return 0;
}

static int add_shares(GKeyFile *file, char **shares)
{
	for (unsigned int i = 0; shares && shares[i]; i++) {
		g_autofree char *group = NULL;
		g_autofree char *message = NULL;
		struct vm_share share;

		if (vm_options_parse_share(shares[i], &share, &message))
			return fail(EX_USAGE, "--share: %s", message);
		group = g_strdup_printf("share %s", share.name);
		vm_set_text(file, group, "path", share.path);
		set_flag(file, group, "read-only", share.rules.read_only);
		g_free(share.name);
		g_free(share.path);
	}
	return 0;
}

/* Without --kernel: this host's newest, with the initrd that its distribution made for it. */
static int add_kernel(GKeyFile *file, const struct vm_options *wishes, bool headless)
{
	g_autofree char *message = NULL;
	g_autofree char *initrd = NULL;
	struct kernel kernel;
	int ret;

	if (wishes->kernel) {
		g_autofree char *path = g_canonicalize_filename(wishes->kernel, NULL);

		vm_set_text(file, "boot", "kernel", path);
	} else {
		ret = kernel_find("/boot", "/lib/modules", &kernel, &message);
		if (ret)
			return fail(EX_UNAVAILABLE, "%s", message);
		initrd = g_strdup_printf("/boot/initrd.img-%s", kernel.version);
		g_key_file_set_string(file, "boot", "kernel", kernel.image);
		if (!wishes->initrd && !g_access(initrd, R_OK))
			g_key_file_set_string(file, "boot", "initrd", initrd);
		kernel_clear(&kernel);
	}
	if (wishes->initrd) {
		g_autofree char *path = g_canonicalize_filename(wishes->initrd, NULL);

		vm_set_text(file, "boot", "initrd", path);
	}
	vm_set_text(file, "boot", "append",
		    wishes->append ? wishes->append
		    : headless	   ? "console=ttyS0"
				   : "console=tty0 console=ttyS0");
	return 0;
}

static int fill(GKeyFile *file, const struct vm_options *wishes, bool headless)
{
	g_autofree char *uuid = g_uuid_string_random();
	int status;

	/* In the file, so that a VM that moves to another folder or host stays the same to its
	 * guest. */
	g_key_file_set_string(file, "machine", "uuid", uuid);
	g_key_file_set_string(file, "cpu", "count", wishes->cpus ? wishes->cpus : "1");
	g_key_file_set_string(file, "memory", "size", wishes->memory ? wishes->memory : "1G");
	g_key_file_set_string(file, "memory", "mode", "auto");
	status = add_kernel(file, wishes, headless);
	if (!status)
		status = add_disks(file, wishes->disks);
	if (!status)
		status = add_shares(file, wishes->shares);
	g_key_file_set_integer(file, "display", "heads", headless ? 0 : 1);
	g_key_file_set_string(file, "serial", "backend", "file:serial.log");
	/* So that lodge share adds some at any time. */
	g_key_file_set_string(file, "device", "shares", "yes");
	g_key_file_set_comment(file, NULL, NULL, head, NULL);
	return status;
}

/* Checked before anything is made: a VM that could not start is not worth a folder. */
static int check(const char *dir, const char *path, const char *text, gsize len)
{
	g_autofree char *message = NULL;
	struct vm_config *config;
	int ret;

	ret = vm_config_parse(dir, path, text, len, &config, &message);
	if (!ret)
		ret = host_check(config, &message);
	vm_config_free(config);
	return ret ? fail(status_of(ret), "%s", message) : 0;
}

static int check_free(const char *dir, const char *word)
{
	g_autofree char *conf = g_build_filename(dir, "vm.conf", NULL);

	if (!g_file_test(conf, G_FILE_TEST_EXISTS))
		return 0;
	return fail(EX_CANTCREAT,
		    "%s is there already; take another name, or run: "
		    "lodge delete %s",
		    dir, word);
}

static int place(const char *word, char **ret_dir)
{
	g_autofree char *vms = paths_vms();

	if (strchr(word, '/')) {
		*ret_dir = g_canonicalize_filename(word, NULL);
	} else if (vm_check_name(word)) {
		return fail(EX_USAGE,
			    "'%s' cannot name a VM; use letters, digits, -, _ and ., 64 at most",
			    word);
	} else {
		*ret_dir = g_build_filename(vms, word, NULL);
	}
	return check_free(*ret_dir, word);
}

static int make(const char *word, const struct vm_options *wishes, bool headless)
{
	g_autoptr(GKeyFile) file = g_key_file_new();
	g_autofree char *dir = NULL;
	g_autofree char *path = NULL;
	g_autofree char *text = NULL;
	g_autofree char *message = NULL;
	autofd lock = -1;
	gsize len;
	int status;

	status = place(word, &dir);
	if (!status)
		status = fill(file, wishes, headless);
	if (status)
		return status;
	path = g_build_filename(dir, "vm.conf", NULL);
	text = g_key_file_to_data(file, &len, NULL);
	status = check(dir, path, text, len);
	if (status)
		return status;
	if (g_mkdir_with_parents(dir, 0755))
		return fail(EX_CANTCREAT, "%s: cannot be made: %s; choose another place", dir,
			    g_strerror(errno));
	lock = conf_file_lock(dir, &message);
	/* Another one may have made it just now. */
	status = lock < 0 ? 0 : check_free(dir, word);
	if (status)
		return status;
	if (lock < 0 || conf_file_write(path, text, len, &message))
		return fail(EX_CANTCREAT, "%s", message);
	printf("%s\n", dir);
	return EX_OK;
}

int verb_create(int argc, char **argv)
{
	struct vm_options wishes = { 0 };
	gboolean headless = FALSE;
	GOptionEntry entries[VM_OPTIONS + 2] = {
		[VM_OPTIONS] = { "headless", 0, 0, G_OPTION_ARG_NONE, &headless,
				 "no screen, no window", NULL },
	};
	int status;

	vm_options_entries(&wishes, entries);
	status = parse_options(&argc, &argv, "NAME", "Makes a VM, and prints its folder.",
			       "NAME is one of your VMs, or the path of a folder, with a '/'.",
			       entries);
	if (!status && argc < 2)
		status = fail(EX_USAGE, "create: how is it called? say a NAME");
	if (!status && argc > 2)
		status = fail(EX_USAGE, "create: '%s' is one word too many; say one NAME", argv[2]);
	if (!status)
		status = make(argv[1], &wishes, headless);
	vm_options_clear(&wishes);
	return status;
}
