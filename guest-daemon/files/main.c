// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lodge-files: carries out one transfer for lodged. Not for people.
 *
 *	lodge-files get|put file|tar PATH [MODE [MTIME [OWNERS]]]
 *
 * The bytes are on standard input or output; what went wrong goes to descriptor 3 as a struct
 * report. A program of its own, because the archive library is many times the size of lodged.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "guest-daemon/files/files.h"

#define REPORT_FD 3

int failed(struct report *report, const char *what)
{
	int error = errno ? errno : EIO;

	return report_set(report, error, "%s: %s", what, strerror(error));
}

static int parse_mode(const char *text, mode_t *ret_mode)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (!*text || *end || mode > 07777)
		return -EINVAL;
	*ret_mode = (mode_t)mode;
	return 0;
}

/* "SECONDS" or "SECONDS.FRACTION", one to nine digits of it. */
static int parse_time(const char *text, struct timespec *ret_time)
{
	char fraction[10] = "000000000";
	size_t whole = strspn(text, "0123456789"), digits = 0;

	if (!whole || whole > 18)
		return -EINVAL;
	if (text[whole] == '.') {
		digits = strspn(text + whole + 1, "0123456789");
		if (!digits || digits > 9)
			return -EINVAL;
		memcpy(fraction, text + whole + 1, digits);
		digits++;
	}
	if (text[whole + digits])
		return -EINVAL;
	ret_time->tv_sec = (time_t)strtoll(text, NULL, 10);
	ret_time->tv_nsec = strtol(fraction, NULL, 10);
	return 0;
}

static int run(int argc, char **argv, struct report *report)
{
	struct put_options options = { .mode = 0644 };
	bool get = !strcmp(argv[1], "get"), tar = !strcmp(argv[2], "tar");

	if (argv[3][0] != '/')
		return report_set(report, EINVAL, "%s: not an absolute path", argv[3]);
	if (argc > 4 && argv[4][0] && parse_mode(argv[4], &options.mode))
		return report_set(report, EINVAL, "malformed mode");
	options.has_mtime = argc > 5 && argv[5][0];
	if (options.has_mtime && parse_time(argv[5], &options.mtime))
		return report_set(report, EINVAL, "malformed mtime");
	if (get)
		return tar ? tar_get(argv[3], STDOUT_FILENO, report)
			   : file_get(argv[3], STDOUT_FILENO, report);
	return tar ? tar_put(argv[3], argc > 6 && !strcmp(argv[6], "1"), STDIN_FILENO, report)
		   : file_put(argv[3], &options, STDIN_FILENO, report);
}

int main(int argc, char **argv)
{
	struct report report = { 0 };
	int ret;

	if (argc < 4 || argc > 7 || (strcmp(argv[1], "get") != 0 && strcmp(argv[1], "put") != 0) ||
	    (strcmp(argv[2], "file") != 0 && strcmp(argv[2], "tar") != 0)) {
		fprintf(stderr, "lodge-files: this is a part of lodged\n");
		return EX_USAGE;
	}
	/* A host that has left is an error of write(2). */
	(void)signal(SIGPIPE, SIG_IGN);
	ret = run(argc, argv, &report);
	if (ret)
		report_send(&report, REPORT_FD);
	return ret ? 1 : 0;
}
