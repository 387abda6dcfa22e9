// SPDX-License-Identifier: GPL-2.0-or-later
// Finds jobs by their names.
#include "tests/bench/job.h"

#include <string.h>

const struct job *job_find(const struct job *table, const char *name)
{
	for (; table->name; table++)
		if (!strcmp(table->name, name))
			return table;
	return NULL;
}
