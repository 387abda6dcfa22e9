// SPDX-License-Identifier: GPL-2.0-or-later
// lab-pump's command line, and the job that it makes of it.
#include "tests/lab/pump.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lab/job.h"

static int usage(const char *why)
{
	fprintf(stderr,
		"lab-pump: %s\n"
		"usage: lab-pump [--timeout SECONDS] [--console] [--record KEY=VALUE]..."
		" -- QEMU ARGS... -- COMMAND ARGS...\n",
		why);
	return -EINVAL;
}

static int parse_commands(char **arg, struct pump_options *options)
{
	options->qemu = arg;
	while (*arg && strcmp(*arg, "--"))
		arg++;
	if (!*arg || arg == options->qemu)
		return usage("no QEMU command");
	*arg++ = NULL;
	options->command = arg;
	return *arg ? 0 : usage("no COMMAND");
}

int pump_parse(int argc, char **argv, struct pump_options *ret_options)
{
	*ret_options = (struct pump_options){ 0 };
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--"))
			return parse_commands(argv + i + 1, ret_options);
		if (!strcmp(argv[i], "--console")) {
			ret_options->console = true;
		} else if (!strcmp(argv[i], "--timeout") && i + 1 < argc) {
			ret_options->timeout = (unsigned int)strtoul(argv[++i], NULL, 10);
		} else if (!strcmp(argv[i], "--record") && i + 1 < argc) {
			if (ret_options->n_records == PUMP_RECORDS_MAX)
				return usage("too many records");
			ret_options->records[ret_options->n_records++] = argv[++i];
		} else {
			return usage(argv[i]);
		}
	}
	return usage("no QEMU command");
}

static void put(FILE *f, const char *key, const char *value)
{
	fputs(key, f);
	fputs(value, f);
	fputc('\0', f);
}

int pump_make_job(const struct pump_options *options, char **ret_job, size_t *ret_len)
{
	FILE *f = open_memstream(ret_job, ret_len);

	if (!f)
		return -errno;
	for (size_t i = 0; i < options->n_records; i++)
		put(f, "", options->records[i]);
	for (char **e = environ; *e; e++)
		put(f, "env=", *e);
	for (char **a = options->command; *a; a++)
		put(f, "arg=", *a);
	fputc('\0', f);
	if (fclose(f) == EOF)
		return -errno;
	if (*ret_len <= LAB_JOB_MAX)
		return 0;
	free(*ret_job);
	return -E2BIG;
}
