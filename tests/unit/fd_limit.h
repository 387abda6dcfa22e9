/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors for tests that need many: shells begin with 1,024, and may have more. */
#ifndef LODGE_TESTS_UNIT_FD_LIMIT_H
#define LODGE_TESTS_UNIT_FD_LIMIT_H

#include <sys/resource.h>

/* Raises the limit as far as it may be: at most @wanted, or what of it there is beside @others that
 * the test has open anyway. */
static inline unsigned int fd_limit(unsigned int wanted, unsigned int others)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 0;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur - others < wanted ? (unsigned int)limit.rlim_cur - others : wanted;
}

#endif
