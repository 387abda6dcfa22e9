/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of lab-pump: what its command line says, and the job that it hands to lab-init. */
#ifndef LODGE_TESTS_LAB_PUMP_H
#define LODGE_TESTS_LAB_PUMP_H

#include <stdbool.h>
#include <stddef.h>

#define PUMP_RECORDS_MAX 64

struct pump_options {
	unsigned int timeout; /* seconds; 0: none */
	bool console; /* show the lab's kernel messages on stderr */
	const char *records[PUMP_RECORDS_MAX]; /* "uid=0" and the like, as job.h has them */
	size_t n_records;
	char **qemu; /* NULL-terminated */
	char **command; /* NULL-terminated */
};

/* -EINVAL, having said why on stderr. */
int pump_parse(int argc, char **argv, struct pump_options *ret_options);

/* The job's records, this process's environment among them. The caller frees *ret_job. */
int pump_make_job(const struct pump_options *options, char **ret_job, size_t *ret_len);

#endif
