// SPDX-License-Identifier: GPL-2.0-or-later
// Finds groups, keys and faults in the text of a key file, so that errors can name the line.
#include "host-vmm/conf/locate.h"

#include <glib.h>
#include <stdbool.h>
#include <string.h>

#define QUOTE_MAX 80 /* bytes of a value that a message shows */

/* One line without its end and the white space around it. */
struct line {
	const char *start;
	size_t len;
	unsigned int number;
};

struct cursor {
	const char *at, *end;
	unsigned int number;
};

static bool next_line(struct cursor *cursor, struct line *line)
{
	const char *newline;

	if (cursor->at >= cursor->end)
		return false;
	newline = memchr(cursor->at, '\n', (size_t)(cursor->end - cursor->at));
	line->start = cursor->at;
	line->len = (size_t)((newline ? newline : cursor->end) - cursor->at);
	line->number = ++cursor->number;
	cursor->at = newline ? newline + 1 : cursor->end;
	while (line->len && g_ascii_isspace(*line->start)) {
		line->start++;
		line->len--;
	}
	while (line->len && g_ascii_isspace(line->start[line->len - 1]))
		line->len--;
	return true;
}

static bool is_comment(const struct line *line)
{
	return !line->len || *line->start == '#';
}

/* The name within brackets, to be freed; NULL if the line is no group head. */
static char *group_of(const struct line *line)
{
	if (line->len < 3 || line->start[0] != '[' || line->start[line->len - 1] != ']')
		return NULL;
	return g_strndup(line->start + 1, line->len - 2);
}

static char *key_of(const struct line *line)
{
	const char *equals = memchr(line->start, '=', line->len);
	char *key;

	if (!equals || equals == line->start || *line->start == '[')
		return NULL;
	key = g_strndup(line->start, (size_t)(equals - line->start));
	return g_strchomp(key);
}

unsigned int conf_locate(const char *text, size_t len, const char *group, const char *key)
{
	struct cursor cursor = { text, text + len, 0 };
	struct line line;
	bool inside = false;

	while (next_line(&cursor, &line)) {
		g_autofree char *head = group_of(&line);
		g_autofree char *found = NULL;

		if (is_comment(&line))
			continue;
		if (head) {
			inside = !strcmp(head, group);
			if (inside && !key)
				return line.number;
			continue;
		}
		if (!inside || !key)
			continue;
		found = key_of(&line);
		if (found && !strcmp(found, key))
			return line.number;
	}
	return 0;
}

static char *line_fault(const struct line *line, GHashTable *seen, char **group)
{
	g_autofree char *head = group_of(line);
	g_autofree char *key = head ? NULL : key_of(line);
	g_autofree char *shown = g_strndup(line->start, line->len);
	g_autofree char *quoted = conf_quote(shown);
	g_autofree char *id = NULL;

	if (!head && !key)
		return g_strdup_printf("'%s' is neither [group] nor key=value; "
				       "correct it, or put # before it",
				       quoted);
	if (head) {
		if (strpbrk(head, "[]"))
			return g_strdup_printf("'%s': a group's name cannot hold brackets; "
					       "take them out",
					       quoted);
		g_free(*group);
		*group = g_steal_pointer(&head);
	} else if (!*group) {
		return g_strdup_printf("'%s' stands before the first group; "
				       "put a line such as [boot] above it",
				       quoted);
	}
	/* A newline can be in neither part, so ids of groups and of keys cannot collide. */
	id = g_strdup_printf("%s\n%s", *group, key ? key : "");
	if (!g_hash_table_add(seen, g_steal_pointer(&id)))
		return key ? g_strdup_printf("key '%s' is given twice in [%s]; keep one", key,
					     *group)
			   : g_strdup_printf("group [%s] is given twice; join the two", *group);
	return NULL;
}

unsigned int conf_find_fault(const char *text, size_t len, char **ret_what)
{
	g_autoptr(GHashTable) seen = NULL;
	g_autofree char *group = NULL;
	struct cursor cursor = { text, text + len, 0 };
	struct line line;
	char *what;

	*ret_what = NULL;
	seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	while (next_line(&cursor, &line)) {
		if (!g_utf8_validate(line.start, (gssize)line.len, NULL)) {
			*ret_what = g_strdup("the line is not UTF-8 text; write it anew");
			return line.number;
		}
		if (is_comment(&line))
			continue;
		what = line_fault(&line, seen, &group);
		if (what) {
			*ret_what = what;
			return line.number;
		}
	}
	return 0;
}

char *conf_quote(const char *text)
{
	size_t len = strlen(text);
	const char *end;
	char *quoted;

	if (len > QUOTE_MAX) {
		g_utf8_validate(text, QUOTE_MAX, &end);
		quoted = g_strdup_printf("%.*s...", (int)(end - text), text);
	} else {
		quoted = g_strdup(text);
	}
	for (char *c = quoted; *c; c++) {
		if (g_ascii_iscntrl(*c))
			*c = '?';
	}
	return quoted;
}
