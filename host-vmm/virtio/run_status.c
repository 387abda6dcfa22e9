// SPDX-License-Identifier: GPL-2.0-or-later
// Parser of the guest init's status lines: bounded, byte by byte.
#include "host-vmm/virtio/run_status.h"

#include <string.h>

/* 0 to 255, no sign, no needless zero: -1 for anything else. */
static int parse_number(const char *text, size_t len)
{
	int value = 0;

	if (len == 0 || len > 3 || (text[0] == '0' && len > 1))
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value <= LODGE_RUN_STATUS_MAX ? value : -1;
}

static void take_line(const char *line, size_t len, run_status_fn fn, void *opaque)
{
	const size_t ready = strlen(LODGE_RUN_READY), prefix = strlen(LODGE_RUN_STATUS);
	int number = -1;

	if (len == ready && memcmp(line, LODGE_RUN_READY, ready) == 0) {
		fn(opaque, RUN_STATUS_READY, 0);
		return;
	}
	if (len > prefix && memcmp(line, LODGE_RUN_STATUS, prefix) == 0)
		number = parse_number(line + prefix, len - prefix);
	if (number >= 0)
		fn(opaque, RUN_STATUS_EXIT, number);
	else
		fn(opaque, RUN_STATUS_MALFORMED, 0);
}

void run_status_feed(struct run_status *status, const void *bytes, size_t len, run_status_fn fn,
		     void *opaque)
{
	const char *at = bytes;

	for (size_t i = 0; i < len; i++) {
		if (at[i] != '\n') {
			/* The newline is part of the longest line. */
			if (status->len < LODGE_RUN_LINE_MAX - 1)
				status->line[status->len++] = at[i];
			else
				status->too_long = true;
			continue;
		}
		if (status->too_long)
			fn(opaque, RUN_STATUS_MALFORMED, 0);
		else
			take_line(status->line, status->len, fn, opaque);
		status->len = 0;
		status->too_long = false;
	}
}
