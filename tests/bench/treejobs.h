/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jobs of treejobs.c, rows of fs_jobs. Files that the driver makes must be in the folder: tree (a
 * git repository) and untar.tar, each with NAME.count, how many files it has; and created.count. */
#ifndef LODGE_TESTS_BENCH_TREEJOBS_H
#define LODGE_TESTS_BENCH_TREEJOBS_H

#include "tests/bench/job.h"

int job_git_status(const char *dir, struct job_result *r);
int job_untar(const char *dir, struct job_result *r);
int job_create_many(const char *dir, struct job_result *r);
/* Eight processes, each reads a file of its own from end to end. */
int job_readers(const char *dir, struct job_result *r);

#endif
