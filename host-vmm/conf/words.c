// SPDX-License-Identifier: GPL-2.0-or-later
// The small words of vm.conf that other programs share: sizes, names of VMs and shares, back ends.
#include "host-vmm/conf/vmconf.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "host-vmm/conf/locate.h"
#include "host-vmm/conf/words.h"

static int parse_unit(const char *unit, unsigned int *ret_shift)
{
	static const char letters[] = "KMGT";
	const char *found;

	*ret_shift = 0;
	if (!*unit)
		return 0;
	found = strchr(letters, g_ascii_toupper(*unit));
	if (!found || !*found)
		return -EINVAL;
	*ret_shift = 10 * (unsigned int)(found - letters + 1);
	unit++;
	/* 4KiB and 4KB are taken as 4K: people write all three, and mean the same. */
	if (!g_ascii_strcasecmp(unit, "ib") || !g_ascii_strcasecmp(unit, "b"))
		return 0;
	return *unit ? -EINVAL : 0;
}

int vm_find_word(const char *text, const char *const *words)
{
	for (int i = 0; words[i]; i++) {
		if (!strcmp(text, words[i]))
			return i;
	}
	return -EINVAL;
}

int vm_parse_size(const char *text, uint64_t *ret_bytes)
{
	unsigned __int128 value = 0, divisor = 1;
	unsigned int shift, digits = 0;
	bool fraction = false;
	const char *at;

	for (at = text; g_ascii_isdigit(*at) || (*at == '.' && !fraction); at++) {
		if (*at == '.') {
			fraction = true;
			continue;
		}
		if (fraction && divisor >= 1000000000)
			return -EINVAL;
		value = value * 10 + (unsigned int)(*at - '0');
		if (fraction)
			divisor *= 10;
		if (value >> 64)
			return -ERANGE;
		digits++;
	}
	if (!digits || at[-1] == '.' || *text == '.' || parse_unit(at, &shift))
		return -EINVAL;
	if (fraction && !shift)
		return -EINVAL;
	value = (value << shift) / divisor;
	if (value >> 63)
		return -ERANGE;
	*ret_bytes = (uint64_t)value;
	return 0;
}

char *vm_format_size(uint64_t bytes)
{
	static const char units[] = { 'T', 'G', 'M', 'K' };

	for (unsigned int i = 0; i < G_N_ELEMENTS(units); i++) {
		unsigned int shift = 40 - 10 * i;

		if (bytes >> shift && !(bytes & ((1ull << shift) - 1)))
			return g_strdup_printf("%" G_GUINT64_FORMAT "%c", bytes >> shift, units[i]);
	}
	return g_strdup_printf("%" G_GUINT64_FORMAT, bytes);
}

int vm_parse_flag(const char *text, bool *ret_flag)
{
	static const char *const words[][2] = {
		{ "no", "yes" }, { "false", "true" }, { "off", "on" }, { "0", "1" }
	};

	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		for (size_t yes = 0; yes < 2; yes++) {
			if (!strcmp(text, words[i][yes])) {
				*ret_flag = yes;
				return 0;
			}
		}
	}
	return -EINVAL;
}

int vm_check_memory(const char *text, uint64_t *ret_bytes, char **ret_problem)
{
	g_autofree char *shown = conf_quote(text);
	uint64_t bytes;
	int ret;

	ret = vm_parse_size(text, &bytes);
	if (ret == -ERANGE) {
		*ret_problem = g_strdup_printf("'%s' is more than any machine has; "
					       "give a size such as 2G",
					       shown);
		return -EINVAL;
	}
	if (ret) {
		*ret_problem = g_strdup_printf("'%s' is not a size; write 512M or 1.5G", shown);
		return -EINVAL;
	}
	if (bytes < VM_MEMORY_MIN) {
		*ret_problem =
			g_strdup_printf("'%s' is too little to boot; give at least 32M", shown);
		return -EINVAL;
	}
	if (bytes & ((1ull << 20) - 1)) {
		*ret_problem = g_strdup_printf(
			"'%s' is not a whole number of MiB; give %" G_GUINT64_FORMAT "M", shown,
			bytes >> 20);
		return -EINVAL;
	}
	*ret_bytes = bytes;
	return 0;
}

int vm_check_name(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > VM_NAME_MAX || *name == '.' || *name == '-')
		return -EINVAL;
	for (const char *c = name; *c; c++) {
		if (!g_ascii_isalnum(*c) && !strchr("-_.", *c))
			return -EINVAL;
	}
	return 0;
}

int vm_check_share_name(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > VM_SHARE_NAME_MAX || strpbrk(name, "/[]"))
		return -EINVAL;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	for (const char *c = name; *c; c++) {
		if (g_ascii_iscntrl(*c))
			return -EINVAL;
	}
	return g_utf8_validate(name, (gssize)len, NULL) ? 0 : -EINVAL;
}

static bool parse_fd(const char **at)
{
	unsigned int digits = 0;

	/* -1 is no descriptor: that direction has nobody. */
	if (g_str_has_prefix(*at, "-1") && !g_ascii_isdigit((*at)[2])) {
		*at += 2;
		return true;
	}
	for (; g_ascii_isdigit(**at); (*at)++)
		digits++;
	return digits >= 1 && digits <= 6;
}

static int check_fds(const char *fds)
{
	const char *at = fds;

	if (!parse_fd(&at))
		return -EINVAL;
	if (*at == ',') {
		at++;
		if (!parse_fd(&at))
			return -EINVAL;
	}
	return *at ? -EINVAL : 0;
}

int vm_normalise_backend(const char *dir, const char *text, char **ret_backend)
{
	static const char *const plain[] = { "none", "stdio", "pty", "run-status", "tools" };
	static const char *const with_path[] = { "file:", "socket:" };

	for (size_t i = 0; i < G_N_ELEMENTS(plain); i++) {
		if (!strcmp(text, plain[i])) {
			*ret_backend = g_strdup(text);
			return 0;
		}
	}
	for (size_t i = 0; i < G_N_ELEMENTS(with_path); i++) {
		g_autofree char *path = NULL;

		if (!g_str_has_prefix(text, with_path[i]))
			continue;
		text += strlen(with_path[i]);
		if (!*text)
			return -EINVAL;
		path = g_canonicalize_filename(text, dir);
		*ret_backend = g_strconcat(with_path[i], path, NULL);
		return 0;
	}
	if (!g_str_has_prefix(text, "fd:") || check_fds(text + 3))
		return -EINVAL;
	*ret_backend = g_strdup(text);
	return 0;
}

char *vm_get_text(GKeyFile *file, const char *group, const char *key)
{
	g_autoptr(GError) error = NULL;
	/* It gives back a value, too, where it complains of an escape. */
	g_autofree char *text = g_key_file_get_string(file, group, key, &error);
	g_autofree char *raw = g_key_file_get_value(file, group, key, NULL);
	size_t len, blanks = 0;

	if (error || !text || !raw)
		return NULL;
	for (len = strlen(raw); blanks < len && g_ascii_isspace(raw[len - blanks - 1]); blanks++)
		;
	text[strlen(text) - blanks] = '\0';
	return g_steal_pointer(&text);
}

void vm_set_text(GKeyFile *file, const char *group, const char *key, const char *value)
{
	g_autofree char *raw = NULL;
	g_autoptr(GString) text = NULL;

	/* It escapes blanks at the front alone; the reader takes those at the end for white space.
	 */
	g_key_file_set_string(file, group, key, value);
	raw = g_key_file_get_value(file, group, key, NULL);
	text = g_string_new(raw);
	for (gsize at = text->len; at > 0 && strchr(" \t", text->str[at - 1]); at--) {
		const char *escaped = text->str[at - 1] == ' ' ? "\\s" : "\\t";

		g_string_erase(text, (gssize)at - 1, 1);
		g_string_insert(text, (gssize)at - 1, escaped);
	}
	g_key_file_set_value(file, group, key, text->str);
}
