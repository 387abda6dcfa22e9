// SPDX-License-Identifier: GPL-2.0-or-later
// Turns the command line of `lodge run` into a VM's folder: vm.conf, initramfs, run.conf.
#include "host-vmm/cli/run_vm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <unistd.h>

#include <lodge/run.h>
#include <lodge/run_conf.h>

#include "host-vmm/cli/cli.h"
#include "host-vmm/cli/hostcheck.h"
#include "host-vmm/cli/initramfs.h"
#include "host-vmm/cli/kernel_cache.h"
#include "host-vmm/cli/paths.h"
#include "host-vmm/conf/file.h"
#include "host-vmm/conf/words.h"

#define CONF_NAME   "vm.conf"
#define INITRD_NAME "initrd"
/* With the event device by which a machine without legacy hardware has a power button. */
#define LEGACY_FREE_SINCE "4.12"
/* By a triple fault at once: Linux would ask for the missing keyboard controller 655,360 times. */
#define NO_KEYBOARD_RESET " reboot=t"

/* Of the host's environment, what a command in the guest can use. LC_* come beside. */
static const char *const kept_env[] = { "PATH", "TERM", "COLORTERM", "LANG", "TZ", NULL };

static void set_fds(GKeyFile *file, const char *port, int in, int out)
{
	g_autofree char *group = g_strdup_printf("port %s", port);
	g_autofree char *backend = g_strdup_printf("fd:%d,%d", in, out);

	g_key_file_set_string(file, group, "backend", backend);
}

static void set_streams(GKeyFile *file, bool terminal)
{
	g_key_file_set_string(file, "port " LODGE_RUN_PORT_STATUS, "backend", "run-status");
	if (terminal) {
		g_key_file_set_string(file, "port console", "backend", "stdio");
		return;
	}
	set_fds(file, LODGE_RUN_PORT_STDIN, RUN_FD_STDIN, -1);
	set_fds(file, LODGE_RUN_PORT_STDOUT, -1, RUN_FD_STDOUT);
	set_fds(file, LODGE_RUN_PORT_STDERR, -1, RUN_FD_STDERR);
}

static void set_folders(GKeyFile *file, const struct run_options *options)
{
	for (guint i = 0; i < options->shares->len; i++) {
		const struct vm_share *share = &g_array_index(options->shares, struct vm_share, i);
		g_autofree char *group = g_strdup_printf("share %s", share->name);

		vm_set_text(file, group, "path", share->path);
		g_key_file_set_string(file, group, "read-only",
				      share->rules.read_only ? "yes" : "no");
	}
	for (guint i = 0; i < options->disks->len; i++) {
		const struct vm_disk *disk = &g_array_index(options->disks, struct vm_disk, i);
		g_autofree char *group = g_strdup_printf("disk disk%u", i);

		vm_set_text(file, group, "file", disk->file);
		g_key_file_set_string(file, group, "read-only", disk->read_only ? "yes" : "no");
		g_key_file_set_string(file, group, "direct", disk->direct ? "yes" : "no");
	}
	vm_set_text(file, "root", "path", options->root);
	/* A VM that others can name may get shares while it runs. */
	if (options->name)
		g_key_file_set_string(file, "device", "shares", "yes");
}

/* An initrd of the user's has an init of its own: its console is the serial port, and ours. */
static void set_boot(GKeyFile *file, const struct run_options *options, const char *kernel,
		     bool legacy, const char *kernel_log)
{
	g_autofree char *append = NULL;
	g_autofree char *serial = NULL;

	append = g_strdup_printf(
		"%sconsole=ttyS0 panic=-1%s%s%s%s", options->window ? "console=tty0 " : "",
		legacy ? "" : NO_KEYBOARD_RESET,
		options->console || options->initrd ? "" : " quiet", options->append ? " " : "",
		options->append ? options->append : "");
	if (options->console)
		serial = g_strdup_printf("fd:-1,%d", RUN_FD_CONSOLE);
	else
		serial = g_strdup_printf("file:%s", kernel_log);
	vm_set_text(file, "boot", "kernel", kernel);
	g_key_file_set_string(file, "boot", "initrd",
			      options->initrd ? options->initrd : INITRD_NAME);
	vm_set_text(file, "boot", "append", append);
	g_key_file_set_string(file, "boot", "on-reset", "stop");
	g_key_file_set_string(file, "serial", "backend", options->initrd ? "stdio" : serial);
}

static bool has_setting(const struct run_options *options, const char *prefix)
{
	for (char **setting = options->settings; setting && *setting; setting++) {
		if (g_str_has_prefix(*setting, prefix))
			return true;
	}
	return false;
}

/*
 * A kernel of the host's own is known to do without the PC's old hardware: it starts faster so, and
 * the host has less of it to emulate. The time of day is KVM's clock then, which another
 * hypervisor's signature would hide.
 */
static bool without_legacy(const struct run_options *options, const struct kernel *kernel)
{
	return !options->kernel && !options->initrd && !has_setting(options, "cpu.hypervisor=") &&
	       strverscmp(kernel->version, LEGACY_FREE_SINCE) >= 0;
}

static char *make_conf(const struct run_options *options, const struct kernel *kernel,
		       const char *kernel_log, bool terminal, gsize *ret_len)
{
	g_autoptr(GKeyFile) file = g_key_file_new();
	g_autofree char *size = vm_format_size(options->memory);

	g_key_file_set_integer(file, "cpu", "count", (int)options->cpus);
	g_key_file_set_string(file, "memory", "size", size);
	set_boot(file, options, kernel->image, !without_legacy(options, kernel), kernel_log);
	if (without_legacy(options, kernel))
		g_key_file_set_string(file, "device", "legacy", "no");
	if (options->window)
		g_key_file_set_integer(file, "display", "heads", 1);
	set_folders(file, options);
	if (!options->initrd)
		set_streams(file, terminal);
	return g_key_file_to_data(file, ret_len, NULL);
}

static void add_env(GByteArray *conf, const char *name, const char *value)
{
	g_autofree char *pair = g_strdup_printf("%s=%s", name, value);

	run_conf_add(conf, LODGE_RUN_CONF_ENV, pair);
}

static void add_environment(GByteArray *conf, const struct run_options *options)
{
	g_auto(GStrv) names = g_listenv();

	for (char **name = names; *name; name++) {
		if (g_strv_contains(kept_env, *name) || g_str_has_prefix(*name, "LC_"))
			add_env(conf, *name, g_getenv(*name));
	}
	/* A root that is not this host's has not this user's home. */
	if (!options->user && !strcmp(options->root, "/") && g_getenv("HOME"))
		add_env(conf, "HOME", g_getenv("HOME"));
	for (char **pair = options->env; pair && *pair; pair++)
		run_conf_add(conf, LODGE_RUN_CONF_ENV, *pair);
}

/* lodged of this installation, where the guest's root has it at the same path. */
static void add_tools(GByteArray *conf, const struct run_options *options)
{
	g_autofree char *lodged = paths_helper("lodged");
	g_autofree char *real = lodged ? g_canonicalize_filename(lodged, NULL) : NULL;
	g_autofree char *inside = real ? g_build_filename(options->root, real, NULL) : NULL;

	if (inside && g_file_test(inside, G_FILE_TEST_IS_EXECUTABLE))
		run_conf_add(conf, LODGE_RUN_CONF_TOOLS, real);
}

static void add_command(GByteArray *conf, const struct run_options *options)
{
	const char *shell = g_getenv("SHELL");

	if (!options->command[0])
		run_conf_add(conf, LODGE_RUN_CONF_ARG, shell && *shell ? shell : "/bin/sh");
	for (char **word = options->command; *word; word++)
		run_conf_add(conf, LODGE_RUN_CONF_ARG, *word);
}

static GByteArray *make_run_conf(const struct run_options *options, bool terminal)
{
	GByteArray *conf = g_byte_array_new();
	g_autofree char *cwd = g_get_current_dir();
	struct winsize size = { .ws_row = 24, .ws_col = 80 };

	run_conf_add(conf, LODGE_RUN_CONF_MODE, "run");
	run_conf_add(conf, LODGE_RUN_CONF_ROOT, LODGE_RUN_TAG_ROOT);
	run_conf_add(conf, LODGE_RUN_CONF_HOSTNAME, options->name ? options->name : "lodge");
	run_conf_add(conf, LODGE_RUN_CONF_CWD, cwd);
	if (options->user)
		run_conf_add(conf, LODGE_RUN_CONF_USER, options->user);
	if (terminal) {
		g_autofree char *text = NULL;

		(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
		text = g_strdup_printf("%ux%u", size.ws_row, size.ws_col);
		run_conf_add(conf, LODGE_RUN_CONF_TERMINAL, text);
	}
	for (guint i = 0; i < options->shares->len; i++) {
		const struct vm_share *share = &g_array_index(options->shares, struct vm_share, i);

		run_conf_add(conf,
			     share->rules.read_only ? LODGE_RUN_CONF_SHARE_RO
						    : LODGE_RUN_CONF_SHARE,
			     share->name);
	}
	add_tools(conf, options);
	add_environment(conf, options);
	add_command(conf, options);
	return conf;
}

/* Unpacked where that can be: guests need not do it at each start. A guest with a screen starts
 * from the image as it is, whose own protocol alone has words for a text console. */
static int find_kernel(const struct run_options *options, struct kernel *kernel)
{
	g_autofree char *unpacked = NULL;
	g_autofree char *message = NULL;
	int ret;

	ret = options->kernel ? kernel_from_image(options->kernel, "/lib/modules", kernel, &message)
			      : kernel_find("/boot", "/lib/modules", kernel, &message);
	if (ret)
		return fail(ret == -ENOENT && !options->kernel ? EX_UNAVAILABLE : status_of(ret),
			    "%s", message);
	if (!options->window && !has_setting(options, "display.heads="))
		unpacked = kernel_cache_find(NULL, kernel->image);
	if (unpacked) {
		g_free(kernel->image);
		kernel->image = g_steal_pointer(&unpacked);
	}
	return 0;
}

static int change_conf(const struct run_options *options, const char *dir, const char *path,
		       char **text, gsize *len)
{
	for (char **setting = options->settings; setting && *setting; setting++) {
		g_auto(GStrv) parts = g_strsplit(*setting, "=", 2);
		g_autofree char *message = NULL;
		g_autofree char *old = *text;
		int ret;

		*text = NULL;
		ret = vm_config_change(dir, path, old, *len, parts[0], parts[1], text, len,
				       &message);
		if (ret)
			return fail(status_of(ret), "--set %s: %s", *setting, message);
	}
	return 0;
}

static int write_conf(const struct run_options *options, const char *dir,
		      const struct kernel *kernel, const char *kernel_log, bool terminal)
{
	g_autofree char *path = g_build_filename(dir, CONF_NAME, NULL);
	g_autofree char *message = NULL;
	g_autofree char *text = NULL;
	struct vm_config *config;
	gsize len;
	int ret;

	text = make_conf(options, kernel, kernel_log, terminal, &len);
	ret = change_conf(options, dir, path, &text, &len);
	if (ret)
		return ret;
	ret = vm_config_parse(dir, path, text, len, &config, &message);
	if (ret)
		return fail(status_of(ret), "%s", message);
	ret = host_check(config, &message);
	vm_config_free(config);
	if (ret)
		return fail(status_of(ret), "%s", message);
	/* Gone with the VM: not worth a sync to the disk. */
	if (!g_file_set_contents_full(path, text, (gssize)len, G_FILE_SET_CONTENTS_NONE, 0600,
				      NULL))
		return fail(EX_CANTCREAT, "%s: cannot be written; make room there", path);
	return 0;
}

int run_vm_make(const struct run_options *options, const char *dir, const char *kernel_log,
		bool terminal)
{
	const struct initramfs_parts parts = { .disks = options->disks->len > 0,
					       .screens = options->window };
	g_autofree char *initrd = g_build_filename(dir, INITRD_NAME, NULL);
	g_autofree char *message = NULL;
	struct kernel kernel;
	GByteArray *conf;
	int status, ret;

	status = find_kernel(options, &kernel);
	if (status)
		return status;
	if (!options->initrd) {
		conf = make_run_conf(options, terminal);
		ret = initramfs_build(initrd, &kernel, &parts, conf, &message);
		g_byte_array_unref(conf);
		if (ret)
			status = fail(ret == -ENOENT ? EX_UNAVAILABLE : status_of(ret), "%s",
				      message);
	}
	if (!status)
		status = write_conf(options, dir, &kernel, kernel_log, terminal);
	kernel_clear(&kernel);
	return status;
}
