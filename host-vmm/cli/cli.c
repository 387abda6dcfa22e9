// SPDX-License-Identifier: GPL-2.0-or-later
// What all verbs share: error lines, options, exit statuses.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "protocol/lib/fd.h"

char *shown_text(const char *text, gssize len, const char *kept)
{
	g_autofree char *valid = g_utf8_make_valid(text, len);
	GString *shown = g_string_new(NULL);

	for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
		gunichar c = g_utf8_get_char(at);

		/* C1 control characters steer terminals, too. */
		if (!g_unichar_iscntrl(c) || (c < 0x80 && strchr(kept, (int)c)))
			g_string_append_unichar(shown, c);
		else
			g_string_append_c(shown, c < 0x80 && g_ascii_isspace((char)c) ? ' ' : '?');
	}
	return g_string_free(shown, FALSE);
}

void print_shown(const char *format, ...)
{
	g_autofree char *text = NULL;
	g_autofree char *shown = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	shown = shown_text(text, -1, "\n\t");
	fputs(shown, stdout);
}

int fail(int status, const char *format, ...)
{
	g_autofree char *text = NULL;
	g_autofree char *shown = NULL;
	g_autofree char *line = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	shown = shown_text(text, -1, "");
	line = g_strdup_printf("lodge: %s\n", shown);
	/* Nobody is left to tell where stderr is closed. */
	(void)fd_write_all(STDERR_FILENO, line, strlen(line));
	return status;
}

/* GLib takes the "--" out in some cases only. */
static void drop_separator(int *argc, char **argv, int end)
{
	int at = 1;

	while (at < end && at < *argc && strcmp(argv[at], "--") != 0)
		at++;
	if (at >= end || at >= *argc)
		return;
	for (int i = at; i < *argc; i++)
		argv[i] = argv[i + 1];
	(*argc)--;
}

static int parse(int *argc, char ***argv, const char *synopsis, const char *summary,
		 const char *description, const GOptionEntry *entries, bool command)
{
	g_autoptr(GOptionContext) context = g_option_context_new(synopsis);
	g_autoptr(GError) error = NULL;
	g_autofree char *program = g_strdup_printf("lodge %s", (*argv)[0]);

	/* --help takes its usage line from it. */
	g_set_prgname(program);
	g_option_context_set_summary(context, summary);
	if (description)
		g_option_context_set_description(context, description);
	g_option_context_add_main_entries(context, entries, NULL);
	g_option_context_set_strict_posix(context, command);
	if (!g_option_context_parse(context, argc, argv, &error))
		return fail(EX_USAGE, "%s: %s; see %s --help", (*argv)[0], error->message, program);
	drop_separator(argc, *argv, command ? 2 : *argc);
	return 0;
}

int parse_options(int *argc, char ***argv, const char *synopsis, const char *summary,
		  const char *description, const GOptionEntry *entries)
{
	return parse(argc, argv, synopsis, summary, description, entries, false);
}

int parse_command_options(int *argc, char ***argv, const char *synopsis, const char *summary,
			  const char *description, const GOptionEntry *entries)
{
	return parse(argc, argv, synopsis, summary, description, entries, true);
}

int status_of(int error)
{
	switch (-error) {
	case 0:
		return EX_OK;
	case EINVAL:
	case EBADMSG:
	case EFBIG:
		return EX_DATAERR;
	case ENOENT:
	case ENOTDIR:
	case EISDIR:
		return EX_NOINPUT;
	case EACCES:
	case EPERM:
		return EX_NOPERM;
	case EAGAIN:
	case EBUSY:
	case ETIMEDOUT:
		return EX_TEMPFAIL;
	case EIO:
	case ENOSPC:
	case EROFS:
		return EX_CANTCREAT;
	case ECONNREFUSED:
	case ENODEV:
	case ESRCH:
		return EX_UNAVAILABLE;
	default:
		return EX_OSERR;
	}
}
