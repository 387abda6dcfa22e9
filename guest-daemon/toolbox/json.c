// SPDX-License-Identifier: GPL-2.0-or-later
// JSON for --json: strings, which may hold what anybody called a file.
#include <stdio.h>

#include "guest-daemon/toolbox/toolbox.h"

void json_print_string(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);

	putchar('"');
	for (const char *c = valid; *c; c++) {
		if (*c == '"' || *c == '\\')
			printf("\\%c", *c);
		else if ((unsigned char)*c < ' ')
			printf("\\u%04x", (unsigned int)*c);
		else
			putchar(*c);
	}
	putchar('"');
}
