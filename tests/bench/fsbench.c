// SPDX-License-Identifier: GPL-2.0-or-later
// fsbench DIR [JOB...]: the file system jobs of `make bench` on any folder, without a driver around
// them.
#include <stdio.h>
#include <string.h>

#include "tests/bench/job.h"

static int run_job(const char *dir, const struct job *job)
{
	struct job_result result;
	int ret = job->run(dir, &result);

	if (ret < 0) {
		printf("%-12s failed: %s\n", job->name, strerror(-ret));
		return 1;
	}
	if (!strcmp(job->unit, "bytes"))
		printf("%-12s %9.1f MB/s\n", job->name,
		       (double)result.count / result.seconds / 1e6);
	else
		printf("%-12s %9.0f %s/s\n", job->name, (double)result.count / result.seconds,
		       job->unit);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0, ret;

	if (argc < 2) {
		fprintf(stderr, "usage: fsbench DIR [JOB...]\n");
		return 2;
	}
	ret = fs_prepare(argv[1]);
	if (ret < 0) {
		fprintf(stderr, "fsbench: cannot make the files in %s: %s\n", argv[1],
			strerror(-ret));
		return 1;
	}
	for (const struct job *job = fs_jobs; argc == 2 && job->name; job++)
		failed |= run_job(argv[1], job);
	for (int i = 2; i < argc; i++) {
		const struct job *job = job_find(fs_jobs, argv[i]);

		if (!job) {
			fprintf(stderr, "fsbench: no job is called %s\n", argv[i]);
			return 2;
		}
		failed |= run_job(argv[1], job);
	}
	return failed;
}
