/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a child of lodged says why it could not do its work: one record through a pipe.
 */
#ifndef LODGE_GUEST_REPORT_H
#define LODGE_GUEST_REPORT_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Smaller than PIPE_BUF, so that it is written whole. */
struct report {
	int32_t error; /* of protocol/spec/guest-ops.md: an errno, or 125 to 127; 0: none */
	char text[252]; /* NUL-terminated */
};

/* Numbers of guest-ops.md that are no errno. */
enum { REPORT_NOT_ALLOWED = 125, REPORT_CANNOT_START = 126, REPORT_NO_PROGRAM = 127 };

/* Fills in and returns -1, for `return report_set(...)`. */
#define report_set(report, number, ...) \
	((report)->error = (number),    \
	 (void)snprintf((report)->text, sizeof((report)->text), __VA_ARGS__), -1)

static inline void report_send(const struct report *report, int fd)
{
	/* Nobody else can be told. */
	if (write(fd, report, sizeof(*report)) < 0)
		return;
}

#endif
