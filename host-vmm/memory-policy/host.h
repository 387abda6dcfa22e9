/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the host's memory is: /proc/meminfo and /proc/pressure/memory (proc(5), Linux
 * Documentation/accounting/psi.rst), held open, because a monitor in its sandbox opens no file.
 */
#ifndef LODGE_VMM_MEMORY_HOST_H
#define LODGE_VMM_MEMORY_HOST_H

#include <stdint.h>

#include "host-vmm/memory-policy/policy.h"

struct memory_host_files {
	int meminfo, pressure; /* -1: the host has none */
	uint64_t stalled_us, at_ms; /* of the last reading */
};

void memory_host_open(struct memory_host_files *files);
void memory_host_close(struct memory_host_files *files);
/* ret_host->total is 0 where meminfo cannot be read. */
void memory_host_read(struct memory_host_files *files, uint64_t now_ms,
		      struct memory_host *ret_host);

/* Bytes of "KEY:  N kB" in @text; -ENODATA where there is no such line. */
int memory_host_parse(const char *text, const char *key, uint64_t *ret_bytes);

#endif
