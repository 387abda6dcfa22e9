/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a VM's processes have used, by /proc: proc(5). */
#ifndef LODGE_VMM_CLI_TOP_USAGE_H
#define LODGE_VMM_CLI_TOP_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct usage {
	uint64_t cpu_us; /* of all processes, since they were started */
	uint64_t resident; /* bytes: the monitor's, and what its helpers have for themselves */
	uint64_t disk; /* bytes that were read from and written to storage */
	bool disk_known;
};

/* Sums over @pid and those that it started. Zeroes where it is gone. */
void usage_of(pid_t pid, struct usage *ret_usage);

#endif
