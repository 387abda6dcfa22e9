// SPDX-License-Identifier: GPL-2.0-or-later
// Which kernel modules to load, and in which order, by modules.dep.
#include "host-vmm/cli/kernel.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Whether the path of @len bytes is of the module @name: "x/virtio-rng.ko.xz" is virtio_rng. */
static bool is_module(const char *path, size_t len, const char *name)
{
	const char *end = path + len, *at = end;

	while (at > path && at[-1] != '/')
		at--;
	for (; *name; name++, at++) {
		char have = at < end ? *at : '\0';

		if ((have == '-' ? '_' : have) != (*name == '-' ? '_' : *name))
			return false;
	}
	return end - at >= 3 && !memcmp(at, ".ko", 3) && (end - at == 3 || at[3] == '.');
}

static bool is_builtin(const char *builtin, const char *name)
{
	for (const char *line = builtin; *line;) {
		size_t len = strcspn(line, "\n");

		if (is_module(line, len, name))
			return true;
		line += len + (line[len] == '\n');
	}
	return false;
}

static void add_once(GPtrArray *paths, const char *path, size_t len)
{
	for (guint i = 0; i < paths->len; i++) {
		const char *have = g_ptr_array_index(paths, i);

		if (strlen(have) == len && !memcmp(have, path, len))
			return;
	}
	g_ptr_array_add(paths, g_strndup(path, len));
}

/* "a.ko: b.ko c.ko": c before b before a. */
static void add_line(GPtrArray *paths, const char *line, size_t module_len, size_t len)
{
	size_t end = len;

	while (end > module_len + 1) {
		size_t start = end;

		while (start > module_len + 1 && line[start - 1] != ' ')
			start--;
		if (end > start)
			add_once(paths, line + start, end - start);
		end = start > module_len + 1 ? start - 1 : start;
	}
	add_once(paths, line, module_len);
}

static bool add_module(const char *dep, const char *name, GPtrArray *paths)
{
	for (const char *line = dep; *line;) {
		size_t len = strcspn(line, "\n");
		const char *colon = memchr(line, ':', len);

		if (colon && is_module(line, (size_t)(colon - line), name)) {
			add_line(paths, line, (size_t)(colon - line), len);
			return true;
		}
		line += len + (line[len] == '\n');
	}
	return false;
}

int modules_resolve(const char *dep, const char *builtin, const char *const *names,
		    GPtrArray *paths, const char **ret_missing)
{
	for (; *names; names++) {
		if (add_module(dep, *names, paths) || is_builtin(builtin, *names))
			continue;
		*ret_missing = *names;
		return -ENOENT;
	}
	return 0;
}
