/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's kernels and their modules, for guests that boot one. */
#ifndef LODGE_VMM_CLI_KERNEL_H
#define LODGE_VMM_CLI_KERNEL_H

#include <glib.h>

struct kernel {
	char *version; /* "6.1.0-18-amd64" */
	char *image; /* path of the bzImage */
	char *modules; /* folder of its modules, or NULL where there are none */
};

/*
 * The newest kernel below @boot (/boot) that has its modules below @lib (/lib/modules), and whose
 * image may be read. -ENOENT with none, -EACCES where there is one that may not be read; then
 * *ret_message (g_free()) names the remedy.
 */
int kernel_find(const char *boot, const char *lib, struct kernel *ret_kernel, char **ret_message);
/* The kernel of the image at @path: its version from the image's header, its modules if there. */
int kernel_from_image(const char *path, const char *lib, struct kernel *ret_kernel,
		      char **ret_message);
void kernel_clear(struct kernel *kernel);

/*
 * Resolves @names (NULL-terminated; - and _ are one) by the texts of modules.dep and
 * modules.builtin: appends to @paths, in load order and each once, what must be loaded; paths are
 * relative to the folder. Built-in ones need nothing. -ENOENT for a name that is in neither, with
 * *ret_missing pointing at it.
 */
int modules_resolve(const char *dep, const char *builtin, const char *const *names,
		    GPtrArray *paths, const char **ret_missing);

#endif
