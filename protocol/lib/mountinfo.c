// SPDX-License-Identifier: GPL-2.0-or-later
// Reads /proc/self/mountinfo.
#include "protocol/lib/mountinfo.h"

#include <stddef.h>
#include <string.h>

static bool is_octal(const char *text)
{
	return text[0] >= '0' && text[0] <= '3' && text[1] >= '0' && text[1] <= '7' &&
	       text[2] >= '0' && text[2] <= '7';
}

/* Copies what fits of the word at *@at, its "\040" and the like undone, and moves behind it: its
 * length. */
static size_t copy_word(const char **at, char *to, size_t room)
{
	const char *in = *at;
	size_t len = 0;

	while (*in && *in != ' ' && *in != '\n') {
		char c = *in++;

		if (c == '\\' && is_octal(in)) {
			c = (char)((in[0] - '0') << 6 | (in[1] - '0') << 3 | (in[2] - '0'));
			in += 3;
		}
		if (len + 1 < room)
			to[len] = c;
		len++;
	}
	to[len < room ? len : room - 1] = '\0';
	*at = in + (*in == ' ');
	return len;
}

/* False where there is none or it is too long. */
static bool take_word(const char **at, char *to, size_t room)
{
	size_t len = copy_word(at, to, room);

	return len && len < room;
}

/* ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [FIELD...] - TYPE SOURCE OPTIONS */
static bool parse(const char *line, struct mount_line *ret_line)
{
	char skipped[PATH_MAX];

	for (int i = 0; i < 2; i++) {
		if (!take_word(&line, skipped, sizeof(skipped)))
			return false;
	}
	if (!take_word(&line, ret_line->device, sizeof(ret_line->device)) ||
	    !take_word(&line, ret_line->root, sizeof(ret_line->root)) ||
	    !take_word(&line, ret_line->point, sizeof(ret_line->point)))
		return false;
	do {
		if (!take_word(&line, skipped, sizeof(skipped)))
			return false;
	} while (strcmp(skipped, "-") != 0);
	if (!take_word(&line, ret_line->type, sizeof(ret_line->type)) || line[-1] != ' ')
		return false;
	/* Whatever was given to mount(2), an empty text among others. */
	(void)copy_word(&line, ret_line->source, sizeof(ret_line->source));
	return true;
}

bool mountinfo_next(const char **at, struct mount_line *ret_line)
{
	while (**at) {
		const char *line = *at;
		const char *end = strchr(line, '\n');

		*at = end ? end + 1 : line + strlen(line);
		if (parse(line, ret_line))
			return true;
	}
	return false;
}
