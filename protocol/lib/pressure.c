// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the two totals of a pressure file.
#include "protocol/lib/pressure.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int parse_total(const char *text, const char *word, uint64_t *ret_us)
{
	const char *line = strstr(text, word);
	const char *end = line ? strchr(line, '\n') : NULL;
	const char *total = line ? strstr(line, " total=") : NULL;

	if (!total || (end && total > end) || sscanf(total, " total=%" SCNu64, ret_us) != 1)
		return -EBADMSG;
	return 0;
}

int pressure_parse(const char *text, struct pressure *ret_pressure)
{
	struct pressure pressure = { 0 };

	if (parse_total(text, "some ", &pressure.some_us))
		return -EBADMSG;
	/* Kernels without a full line for the processor have one for memory; 0 where not. */
	(void)parse_total(text, "full ", &pressure.full_us);
	*ret_pressure = pressure;
	return 0;
}
