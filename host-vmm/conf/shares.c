// SPDX-License-Identifier: GPL-2.0-or-later
// [share NAME] groups of vm.conf: their words, and groups that come and go within the text.
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "host-vmm/conf/locate.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/conf/words.h"

/* uid_t's and gid_t's last value is none, see chown(2). */
#define ID_MAX (UINT32_MAX - 1)

static bool parse_id(const char *text, uint32_t *ret_id)
{
	guint64 number;

	if (!g_ascii_string_to_unsigned(text, 10, 0, ID_MAX, &number, NULL))
		return false;
	*ret_id = (uint32_t)number;
	return true;
}

int vm_parse_owner(const char *text, struct vm_share_rules *rules)
{
	g_auto(GStrv) ids = NULL;
	uint32_t uid, gid;

	if (!strcmp(text, "user") || !strcmp(text, "exact")) {
		rules->owner.kind = *text == 'u' ? VM_OWNER_USER : VM_OWNER_EXACT;
		return 0;
	}
	ids = g_strsplit(text, ":", 2);
	if (!ids[0] || !ids[1] || !parse_id(ids[0], &uid) || !parse_id(ids[1], &gid))
		return -EINVAL;
	rules->owner.kind = VM_OWNER_IDS;
	rules->owner.uid = uid;
	rules->owner.gid = gid;
	return 0;
}

char *vm_format_owner(const struct vm_share_rules *rules)
{
	switch (rules->owner.kind) {
	case VM_OWNER_EXACT:
		return g_strdup("exact");
	case VM_OWNER_IDS:
		return g_strdup_printf("%u:%u", rules->owner.uid, rules->owner.gid);
	default:
		return g_strdup("user");
	}
}

int vm_parse_mask(const char *text, unsigned int *ret_mask)
{
	guint64 number;

	if (!g_ascii_string_to_unsigned(text, 8, 0, 0777, &number, NULL))
		return -EINVAL;
	*ret_mask = (unsigned int)number;
	return 0;
}

/* The group as a key file has it, which knows what must be escaped. */
static char *group_text(const char *group, const struct vm_share *share)
{
	const struct vm_share_rules *rules = &share->rules;
	g_autofree char *owner = vm_format_owner(rules);
	g_autoptr(GKeyFile) file = g_key_file_new();
	g_autofree char *file_mask = g_strdup_printf("%03o", rules->file_mask);
	g_autofree char *dir_mask = g_strdup_printf("%03o", rules->dir_mask);

	vm_set_text(file, group, "path", share->path);
	if (rules->read_only)
		g_key_file_set_string(file, group, "read-only", "yes");
	if (rules->owner.kind != VM_OWNER_USER)
		g_key_file_set_string(file, group, "owner", owner);
	if (rules->file_mask)
		g_key_file_set_string(file, group, "file-mask", file_mask);
	if (rules->dir_mask)
		g_key_file_set_string(file, group, "dir-mask", dir_mask);
	return g_key_file_to_data(file, NULL, NULL);
}

/* Takes @made over: it is *ret_text if it is a sound vm.conf. */
static int check(const char *dir, const char *path, char *made, char **ret_text, char **ret_message)
{
	struct vm_config *config;
	int ret = vm_config_parse(dir, path, made, strlen(made), &config, ret_message);

	vm_config_free(config);
	if (ret)
		g_free(made);
	else
		*ret_text = made;
	return ret;
}

static char *group_of(const char *name)
{
	return g_strdup_printf("share %s", name);
}

int vm_config_add_share(const char *dir, const char *path, const char *text,
			const struct vm_share *share, char **ret_text, char **ret_message)
{
	g_autofree char *group = group_of(share->name);
	g_autofree char *added = group_text(group, share);
	size_t len = strlen(text);
	const char *gap = !len ? "" : len > 1 && !strcmp(text + len - 2, "\n\n") ? "" : "\n";

	*ret_message = NULL;
	if (conf_locate(text, len, group, NULL)) {
		*ret_message = g_strdup_printf("there is a share '%s' already; remove it first, or "
					       "take another name",
					       share->name);
		return -EEXIST;
	}
	if (len && text[len - 1] != '\n')
		gap = "\n\n";
	return check(dir, path, g_strconcat(text, gap, added, NULL), ret_text, ret_message);
}

static const char *line_start(const char *text, unsigned int number)
{
	while (--number && (text = strchr(text, '\n')))
		text++;
	return text;
}

static bool is_head(const char *line)
{
	return line[strspn(line, " \t")] == '[';
}

/* Where the group that begins at @head ends. What stands above the next head belongs to that. */
static const char *group_end(const char *head)
{
	const char *line = strchr(head, '\n'), *end = NULL;

	for (; line && line[1]; line = strchr(line + 1, '\n')) {
		const char *text = line + 1 + strspn(line + 1, " \t");

		if (is_head(line + 1))
			return end ? end : line + 1;
		if (*text == '#' || *text == '\n')
			end = end ? end : line + 1;
		else
			end = NULL;
	}
	return end ? end : head + strlen(head);
}

int vm_config_remove_share(const char *dir, const char *path, const char *text, const char *name,
			   char **ret_text, char **ret_message)
{
	g_autofree char *group = group_of(name);
	unsigned int line = conf_locate(text, strlen(text), group, NULL);
	const char *head, *end;
	size_t before;

	*ret_message = NULL;
	if (!line) {
		g_autofree char *shown = conf_quote(name);

		*ret_message =
			g_strdup_printf("there is no share '%s'; lodge share list shows those "
					"there are",
					shown);
		return -ENOENT;
	}
	head = line_start(text, line);
	end = group_end(head);
	before = (size_t)(head - text);
	/* Of the blank lines around it one is left. */
	while ((!*end || *end == '\n') && before > 1 && !strncmp(text + before - 2, "\n\n", 2))
		before--;
	return check(dir, path, g_strdup_printf("%.*s%s", (int)before, text, end), ret_text,
		     ret_message);
}
