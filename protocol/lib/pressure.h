/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /proc/pressure/memory: Linux Documentation/accounting/psi.rst. */
#ifndef LODGE_PROTOCOL_PRESSURE_H
#define LODGE_PROTOCOL_PRESSURE_H

#include <stdint.h>

/* Microseconds since boot that some task, and that all tasks at once, waited for memory. */
struct pressure {
	uint64_t some_us, full_us;
};

/* Reads the file's text. -EBADMSG where it has no "some" line with a total. */
int pressure_parse(const char *text, struct pressure *ret_pressure);

#endif
