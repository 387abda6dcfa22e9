// SPDX-License-Identifier: GPL-2.0-or-later
// Reads and checks the command line of `lodge run`.
#include "host-vmm/cli/run_options.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "host-vmm/cli/cli.h"
#include "host-vmm/conf/locate.h"

static const char summary[] =
	"Starts an instant VM and runs COMMAND in it, $SHELL if none is given. The guest's kernel is\n"
	"this host's newest, its root this host's (or PATH), read-only, under an overlay that is\n"
	"thrown away. Shares appear at /mnt/lodge/NAME.";
static const char description[] =
	"Sizes take K, M, G and T. The exit status is COMMAND's, 128 + N where signal N killed it,\n"
	"or 125 where the guest went down without one. On a terminal Ctrl-] kills the VM.";

/* What GOption fills, before it is checked. */
struct raw {
	char *name, *memory, *kernel, *initrd, *append, *root, *network, *user;
	char *cpus;
	char **disks, **shares, **env, **settings;
	gboolean console;
};

static bool cut_suffix(char *text, const char *suffix)
{
	size_t len = strlen(text), cut = strlen(suffix);

	if (len <= cut || strcmp(text + len - cut, suffix))
		return false;
	text[len - cut] = '\0';
	return true;
}

static int check_path(const char *path, char **ret_message)
{
	g_autofree char *shown = conf_quote(path);

	if (g_utf8_validate(path, -1, NULL) && !strpbrk(path, "\n\r"))
		return 0;
	*ret_message = g_strdup_printf("'%s' is not UTF-8 text on one line, which vm.conf needs; "
				       "make a symbolic link to it",
				       shown);
	return -EINVAL;
}

int run_parse_share(const char *text, struct vm_share *ret_share, char **ret_message)
{
	const char *equals = strchr(text, '=');
	g_autofree char *shown = conf_quote(text);
	g_autofree char *name = NULL;
	g_autofree char *path = NULL;
	bool read_only;

	*ret_share = (struct vm_share){ 0 };
	if (!equals || !equals[1]) {
		*ret_message =
			g_strdup_printf("'%s' is no share; write NAME=PATH or NAME=PATH:ro", shown);
		return -EINVAL;
	}
	name = g_strndup(text, (size_t)(equals - text));
	path = g_strdup(equals + 1);
	if (vm_check_share_name(name)) {
		*ret_message = g_strdup_printf("'%s': a share's name is 1 to 255 bytes of UTF-8 "
					       "without /, [ and ], and not . or ..; rename it",
					       shown);
		return -EINVAL;
	}
	read_only = cut_suffix(path, ":ro");
	if (check_path(path, ret_message))
		return -EINVAL;
	ret_share->name = g_steal_pointer(&name);
	ret_share->path = g_canonicalize_filename(path, NULL);
	ret_share->read_only = read_only;
	return 0;
}

int run_parse_disk(const char *text, struct vm_disk *ret_disk, char **ret_message)
{
	g_autofree char *file = g_strdup(text);
	bool more = true;

	*ret_disk = (struct vm_disk){ 0 };
	while (more) {
		more = false;
		if (cut_suffix(file, ":ro"))
			more = ret_disk->read_only = true;
		if (cut_suffix(file, ":direct"))
			more = ret_disk->direct = true;
	}
	if (!*file) {
		*ret_message = g_strdup("a disk needs a file; write FILE[:ro][:direct]");
		return -EINVAL;
	}
	if (check_path(file, ret_message))
		return -EINVAL;
	ret_disk->file = g_canonicalize_filename(file, NULL);
	return 0;
}

static int take_numbers(const struct raw *raw, struct run_options *options)
{
	g_autofree char *problem = NULL;
	guint64 cpus = 1;

	if (raw->cpus && !g_ascii_string_to_unsigned(raw->cpus, 10, 1, VM_CPUS_MAX, &cpus, NULL))
		return fail(EX_USAGE, "--cpus: '%s' will not do; give a number from 1 to %d",
			    raw->cpus, VM_CPUS_MAX);
	options->cpus = (unsigned int)cpus;
	if (vm_check_memory(raw->memory ? raw->memory : "1G", &options->memory, &problem))
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
	if (raw->initrd && !raw->kernel)
		return fail(EX_USAGE, "--initrd: it needs a kernel; add --kernel FILE");
	if (raw->initrd && options->command[0])
		return fail(EX_USAGE,
			    "--initrd: its own init decides what runs; leave out %s, or --initrd",
			    options->command[0]);
	options->name = g_strdup(raw->name);
	options->append = g_strdup(raw->append);
	options->user = g_strdup(raw->user);
	options->console = raw->console;
	options->env = g_strdupv(raw->env);
	options->settings = g_strdupv(raw->settings);
	for (char **env = raw->env; env && *env; env++) {
		if (**env == '=' || !strchr(*env, '='))
			return fail(EX_USAGE, "--env: '%s' will not do; write NAME=VALUE", *env);
	}
	for (char **setting = raw->settings; setting && *setting; setting++) {
		if (!strchr(*setting, '=') || check_path(*setting, &problem))
			return fail(EX_USAGE, "--set: '%s' will not do; write GROUP.KEY=VALUE",
				    *setting);
	}
	if (raw->append && (check_path(raw->append, &problem)))
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
	if (check_path(given, &problem))
		return fail(EX_USAGE, "%s: %s", option, problem);
	g_free(*ret_path);
	*ret_path = g_canonicalize_filename(given, NULL);
	return 0;
}

static int take_shares(const struct raw *raw, struct run_options *options)
{
	for (char **text = raw->shares; text && *text; text++) {
		g_autofree char *problem = NULL;
		struct vm_share share;

		if (run_parse_share(*text, &share, &problem))
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
	for (char **text = raw->disks; text && *text; text++) {
		g_autofree char *problem = NULL;
		struct vm_disk disk;

		if (run_parse_disk(*text, &disk, &problem))
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
		status = take_path("--kernel", raw->kernel, &options->kernel);
	if (!status)
		status = take_path("--initrd", raw->initrd, &options->initrd);
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
	g_free(raw->name);
	g_free(raw->memory);
	g_free(raw->kernel);
	g_free(raw->initrd);
	g_free(raw->append);
	g_free(raw->root);
	g_free(raw->network);
	g_free(raw->user);
	g_free(raw->cpus);
	g_strfreev(raw->disks);
	g_strfreev(raw->shares);
	g_strfreev(raw->env);
	g_strfreev(raw->settings);
}

int run_options_parse(int argc, char **argv, struct run_options *ret_options)
{
	struct raw raw = { 0 };
	/* clang-format off */
	const GOptionEntry entries[] = {
		{ "name", 'n', 0, G_OPTION_ARG_STRING, &raw.name, "what other verbs call it", "NAME" },
		{ "cpus", 'c', 0, G_OPTION_ARG_STRING, &raw.cpus, "1 to 64; 1 if not given", "N" },
		{ "memory", 'm', 0, G_OPTION_ARG_STRING, &raw.memory, "1G if not given", "SIZE" },
		{ "kernel", 'k', 0, G_OPTION_ARG_FILENAME, &raw.kernel, "bzImage or vmlinux", "FILE" },
		{ "initrd", 'i', 0, G_OPTION_ARG_FILENAME, &raw.initrd,
		  "an initrd with an init of its own", "FILE" },
		{ "append", 'a', 0, G_OPTION_ARG_FILENAME, &raw.append,
		  "more for the kernel's command line", "TEXT" },
		{ "disk", 'd', 0, G_OPTION_ARG_FILENAME_ARRAY, &raw.disks,
		  "a raw image or block device", "FILE[:ro][:direct]" },
		{ "share", 's', 0, G_OPTION_ARG_FILENAME_ARRAY, &raw.shares,
		  "a folder of the host", "NAME=PATH[:ro]" },
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
		{ 0 },
	};
	/* clang-format on */
	int status;

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
