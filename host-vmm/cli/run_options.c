// SPDX-License-Identifier: GPL-2.0-or-later
// Reads and checks the command line of `lodge run`.
#include "host-vmm/cli/run_options.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "host-vmm/cli/cli.h"

static const char summary[] =
	"Starts an instant VM and runs COMMAND in it, $SHELL if none is given. The guest's kernel is\n"
	"this host's newest, its root this host's (or PATH), read-only, under an overlay that is\n"
	"thrown away. Shares appear at /mnt/lodge/NAME.";
static const char description[] =
	"Sizes take K, M, G and T. The exit status is COMMAND's, 128 + N where signal N killed it,\n"
	"or 125 where the guest went down without one. On a terminal Ctrl-] kills the VM.";

/* What GOption fills, before it is checked. */
struct raw {
	struct vm_options vm;
	char *name, *root, *network, *user;
	char **env, **settings;
	gboolean console, window;
};

static int take_numbers(const struct raw *raw, struct run_options *options)
{
	g_autofree char *problem = NULL;
	guint64 cpus = 1;

	if (raw->vm.cpus &&
	    !g_ascii_string_to_unsigned(raw->vm.cpus, 10, 1, VM_CPUS_MAX, &cpus, NULL))
		return fail(EX_USAGE, "--cpus: '%s' will not do; give a number from 1 to %d",
			    raw->vm.cpus, VM_CPUS_MAX);
	options->cpus = (unsigned int)cpus;
	if (vm_check_memory(raw->vm.memory ? raw->vm.memory : "1G", &options->memory, &problem))
		return fail(EX_USAGE, "--memory: %s", problem);
	return 0;
}

static int take_words(const struct raw *raw, struct run_options *options)
{
	g_autofree char *problem = NULL;

	if (raw->name && vm_check_name(raw->name))
		return fail(EX_USAGE,
			    "--name: '%s' cannot name a VM; use letters, digits, -, _ and ., 64 "
			    "at most",
			    raw->name);
	if (raw->network && strcmp(raw->network, "none"))
		return fail(EX_USAGE, "--network: '%s' is not there; say none", raw->network);
	if (raw->vm.initrd && !raw->vm.kernel)
		return fail(EX_USAGE, "--initrd: it needs a kernel; add --kernel FILE");
	if (raw->vm.initrd && options->command[0])
		return fail(EX_USAGE,
			    "--initrd: its own init decides what runs; leave out %s, or --initrd",
			    options->command[0]);
	options->name = g_strdup(raw->name);
	options->append = g_strdup(raw->vm.append);
	options->user = g_strdup(raw->user);
	options->console = raw->console;
	options->window = raw->window;
	options->env = g_strdupv(raw->env);
	options->settings = g_strdupv(raw->settings);
	for (char **env = raw->env; env && *env; env++) {
		if (**env == '=' || !strchr(*env, '='))
			return fail(EX_USAGE, "--env: '%s' will not do; write NAME=VALUE", *env);
	}
	for (char **setting = raw->settings; setting && *setting; setting++) {
		if (!strchr(*setting, '=') || vm_options_check_path(*setting, &problem))
			return fail(EX_USAGE, "--set: '%s' will not do; write GROUP.KEY=VALUE",
				    *setting);
	}
	if (raw->vm.append && (vm_options_check_path(raw->vm.append, &problem)))
		return fail(EX_USAGE, "--append: the text must be UTF-8 on one line; correct it");
	return 0;
}

static int take_path(const char *option, const char *given, char **ret_path)
{
	g_autofree char *problem = NULL;

	if (!given)
		return 0;
	if (!*given)
		return fail(EX_USAGE, "%s: the path is empty; give one", option);
	if (vm_options_check_path(given, &problem))
		return fail(EX_USAGE, "%s: %s", option, problem);
	g_free(*ret_path);
	*ret_path = g_canonicalize_filename(given, NULL);
	return 0;
}

static int take_shares(const struct raw *raw, struct run_options *options)
{
	for (char **text = raw->vm.shares; text && *text; text++) {
		g_autofree char *problem = NULL;
		struct vm_share share;

		if (vm_options_parse_share(*text, &share, &problem))
			return fail(EX_USAGE, "--share: %s", problem);
		g_array_append_val(options->shares, share);
		for (guint i = 0; i + 1 < options->shares->len; i++) {
			if (!strcmp(g_array_index(options->shares, struct vm_share, i).name,
				    share.name))
				return fail(EX_USAGE, "--share: '%s' is given twice; rename one",
					    share.name);
		}
	}
	return 0;
}

static int take_disks(const struct raw *raw, struct run_options *options)
{
	for (char **text = raw->vm.disks; text && *text; text++) {
		g_autofree char *problem = NULL;
		struct vm_disk disk;

		if (vm_options_parse_disk(*text, &disk, &problem))
			return fail(EX_USAGE, "--disk: %s", problem);
		g_array_append_val(options->disks, disk);
	}
	if (options->disks->len > VM_DISKS_MAX)
		return fail(EX_USAGE, "--disk: more than %d; take some out", VM_DISKS_MAX);
	if (options->shares->len > VM_SHARES_MAX)
		return fail(EX_USAGE, "--share: more than %d; share a folder above them",
			    VM_SHARES_MAX);
	return 0;
}

static int take_all(const struct raw *raw, struct run_options *options)
{
	int status = take_numbers(raw, options);

	if (!status)
		status = take_words(raw, options);
	if (!status)
		status = take_path("--kernel", raw->vm.kernel, &options->kernel);
	if (!status)
		status = take_path("--initrd", raw->vm.initrd, &options->initrd);
	if (!status)
		status = take_path("--root", raw->root, &options->root);
	if (!status)
		status = take_shares(raw, options);
	if (!status)
		status = take_disks(raw, options);
	return status;
}

static void raw_clear(struct raw *raw)
{
	vm_options_clear(&raw->vm);
	g_free(raw->name);
	g_free(raw->root);
	g_free(raw->network);
	g_free(raw->user);
	g_strfreev(raw->env);
	g_strfreev(raw->settings);
}

int run_options_parse(int argc, char **argv, struct run_options *ret_options)
{
	struct raw raw = { 0 };
	/* clang-format off */
	const GOptionEntry own[] = {
		{ "name", 'n', 0, G_OPTION_ARG_STRING, &raw.name, "what other verbs call it", "NAME" },
		{ "root", 'r', 0, G_OPTION_ARG_FILENAME, &raw.root, "the guest's root; / if not given",
		  "PATH" },
		{ "user", 'u', 0, G_OPTION_ARG_STRING, &raw.user, "COMMAND's user; root if not given",
		  "NAME" },
		{ "env", 'e', 0, G_OPTION_ARG_FILENAME_ARRAY, &raw.env, "for COMMAND's environment",
		  "NAME=VALUE" },
		{ "set", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &raw.settings,
		  "anything else of vm.conf(5)", "GROUP.KEY=VALUE" },
		{ "network", 0, 0, G_OPTION_ARG_STRING, &raw.network, "none is what there is", "KIND" },
		{ "console", 0, 0, G_OPTION_ARG_NONE, &raw.console,
		  "show the kernel's messages on stderr", NULL },
		{ "window", 'w', 0, G_OPTION_ARG_NONE, &raw.window, "a screen, in a window", NULL },
		{ 0 },
	};
	/* clang-format on */
	GOptionEntry entries[VM_OPTIONS + G_N_ELEMENTS(own)];
	int status;

	vm_options_entries(&raw.vm, entries);
	memcpy(entries + VM_OPTIONS, own, sizeof(own));
	*ret_options = (struct run_options){
		.root = g_strdup("/"),
		.disks = g_array_new(FALSE, TRUE, sizeof(struct vm_disk)),
		.shares = g_array_new(FALSE, TRUE, sizeof(struct vm_share)),
	};
	status = parse_command_options(&argc, &argv, "[-- COMMAND...]", summary, description,
				       entries);
	ret_options->command = argv + 1;
	if (!status)
		status = take_all(&raw, ret_options);
	raw_clear(&raw);
	return status;
}

void run_options_clear(struct run_options *options)
{
	for (guint i = 0; i < options->disks->len; i++)
		g_free(g_array_index(options->disks, struct vm_disk, i).file);
	for (guint i = 0; i < options->shares->len; i++) {
		g_free(g_array_index(options->shares, struct vm_share, i).name);
		g_free(g_array_index(options->shares, struct vm_share, i).path);
	}
	g_array_unref(options->disks);
	g_array_unref(options->shares);
	g_strfreev(options->env);
	g_strfreev(options->settings);
	g_free(options->name);
	g_free(options->kernel);
	g_free(options->initrd);
	g_free(options->append);
	g_free(options->root);
	g_free(options->user);
}
