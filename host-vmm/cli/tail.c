// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the end of a log: its last lines, or the last line that has a mark.
#include "host-vmm/cli/tail.h"

#include <fcntl.h>
#include <glib.h>
#include <string.h>

#include "host-vmm/cli/cli.h"
#include "protocol/lib/fd.h"

#define TAIL_MAX (64 << 10) /* bytes at the end of a log that are looked at */

static char *read_tail(const char *path)
{
	g_autofree char *text = g_malloc(TAIL_MAX + 1);
	autofd fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;
	off_t size;

	if (fd < 0)
		return NULL;
	size = lseek(fd, 0, SEEK_END);
	if (size < 0 || lseek(fd, size > TAIL_MAX ? size - TAIL_MAX : 0, SEEK_SET) < 0)
		return NULL;
	got = fd_read_all(fd, text, TAIL_MAX);
	if (got <= 0)
		return NULL;
	return shown_text(text, got, "\n\t");
}

void tail_print(const char *path, unsigned int lines, FILE *to)
{
	g_autofree char *text = read_tail(path);
	char *at;

	if (!text)
		return;
	g_strchomp(text);
	at = text + strlen(text);
	while (at > text && (at[-1] != '\n' || --lines))
		at--;
	fprintf(to, "%s\n", at);
}

static char *to_line_end(const char *text)
{
	return g_strchomp(g_strndup(text, strcspn(text, "\n")));
}

char *tail_find(const char *path, const char *mark)
{
	g_autofree char *text = read_tail(path);
	char *found = text ? strstr(text, mark) : NULL, *next;

	while (found && (next = strstr(found + 1, mark)))
		found = next;
	return found ? to_line_end(found + strlen(mark)) : NULL;
}

char *tail_find_first(const char *path, const char *mark)
{
	g_autofree char *text = read_tail(path);
	char *found = text ? strstr(text, mark) : NULL;

	return found ? to_line_end(found + strlen(mark)) : NULL;
}
