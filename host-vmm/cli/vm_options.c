// SPDX-License-Identifier: GPL-2.0-or-later
// The options that say what a VM is made of, for `lodge create` and `lodge run` alike.
#include "host-vmm/cli/vm_options.h"

#include <errno.h>
#include <string.h>

#include "host-vmm/conf/locate.h"

void vm_options_entries(struct vm_options *options, GOptionEntry entries[VM_OPTIONS])
{
	/* clang-format off */
	const GOptionEntry table[VM_OPTIONS] = {
		{ "cpus", 'c', 0, G_OPTION_ARG_STRING, &options->cpus, "1 to 64; 1 if not given", "N" },
		{ "memory", 'm', 0, G_OPTION_ARG_STRING, &options->memory, "1G if not given", "SIZE" },
		{ "kernel", 'k', 0, G_OPTION_ARG_FILENAME, &options->kernel, "bzImage or vmlinux", "FILE" },
		{ "initrd", 'i', 0, G_OPTION_ARG_FILENAME, &options->initrd, "the kernel's initrd", "FILE" },
		{ "append", 'a', 0, G_OPTION_ARG_FILENAME, &options->append,
		  "for the kernel's command line", "TEXT" },
		{ "disk", 'd', 0, G_OPTION_ARG_FILENAME_ARRAY, &options->disks,
		  "a raw image or block device", "FILE[:ro][:direct]" },
		{ "share", 's', 0, G_OPTION_ARG_FILENAME_ARRAY, &options->shares,
		  "a folder of the host", "NAME=PATH[:ro]" },
	};
	/* clang-format on */

	memcpy(entries, table, sizeof(table));
}

void vm_options_clear(struct vm_options *options)
{
	g_free(options->cpus);
	g_free(options->memory);
	g_free(options->kernel);
	g_free(options->initrd);
	g_free(options->append);
	g_strfreev(options->disks);
	g_strfreev(options->shares);
}

static bool cut_suffix(char *text, const char *suffix)
{
	size_t len = strlen(text), cut = strlen(suffix);

	if (len <= cut || strcmp(text + len - cut, suffix))
		return false;
	text[len - cut] = '\0';
	return true;
}

int vm_options_check_path(const char *path, char **ret_message)
{
	g_autofree char *shown = conf_quote(path);

	if (g_utf8_validate(path, -1, NULL) && !strpbrk(path, "\n\r"))
		return 0;
	*ret_message = g_strdup_printf("'%s' is not UTF-8 text on one line, which vm.conf needs; "
				       "make a symbolic link to it",
				       shown);
	return -EINVAL;
}

int vm_options_parse_share(const char *text, struct vm_share *ret_share, char **ret_message)
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
	if (vm_options_check_path(path, ret_message))
		return -EINVAL;
	ret_share->name = g_steal_pointer(&name);
	ret_share->path = g_canonicalize_filename(path, NULL);
	ret_share->rules.read_only = read_only;
	return 0;
}

int vm_options_parse_disk(const char *text, struct vm_disk *ret_disk, char **ret_message)
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
	if (vm_options_check_path(file, ret_message))
		return -EINVAL;
	ret_disk->file = g_canonicalize_filename(file, NULL);
	return 0;
}
