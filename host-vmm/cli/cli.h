/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The `lodge` command: a const table of verbs, one file each, and what they share.
 *
 * A verb prints its own errors, by fail(): one line that names the thing and the remedy, and
 * returns the process's exit status, which is of sysexits.h unless the verb says otherwise.
 */
#ifndef LODGE_VMM_CLI_H
#define LODGE_VMM_CLI_H

#include <glib.h>
#include <stdbool.h>

struct verb {
	const char *name;
	const char *help; /* one line */
	/* @argv[0] is the verb's name; the array ends with NULL and the verb may permute it. */
	int (*run)(int argc, char **argv);
};

int verb_check(int argc, char **argv);
int verb_cp(int argc, char **argv);
int verb_create(int argc, char **argv);
int verb_delete(int argc, char **argv);
int verb_events(int argc, char **argv);
int verb_exec(int argc, char **argv);
int verb_info(int argc, char **argv);
int verb_keys(int argc, char **argv);
int verb_kill(int argc, char **argv);
int verb_list(int argc, char **argv);
int verb_pause(int argc, char **argv);
int verb_ps(int argc, char **argv);
int verb_reboot(int argc, char **argv);
int verb_resize(int argc, char **argv);
int verb_resume(int argc, char **argv);
int verb_run(int argc, char **argv);
int verb_screenshot(int argc, char **argv);
int verb_set(int argc, char **argv);
int verb_share(int argc, char **argv);
int verb_shell(int argc, char **argv);
int verb_show(int argc, char **argv);
int verb_shutdown(int argc, char **argv);
int verb_start(int argc, char **argv);
int verb_stop(int argc, char **argv);
int verb_top(int argc, char **argv);
int verb_var(int argc, char **argv);
int verb_view(int argc, char **argv);
int verb_wait(int argc, char **argv);

/* @text (@len bytes, -1: up to its NUL) fit for a terminal: UTF-8, blanks and '?' in place of
 * control characters that are not among @kept. g_free(). */
char *shown_text(const char *text, gssize len, const char *kept);
/* printf(3), control characters but newlines and tabs made harmless: for what a monitor or its
 * guest tells. */
void print_shown(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints "lodge: TEXT" on stderr, control characters made harmless, and gives back @status. */
int fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Parses options. @synopsis is what follows the verb ("NAME [KEY=VALUE...]"), @summary and
 * @description are for --help, which prints and ends the process. Options may stand
 * anywhere before a "--". 0, or EX_USAGE with the error printed.
 */
int parse_options(int *argc, char ***argv, const char *synopsis, const char *summary,
		  const char *description, const GOptionEntry *entries);
/* The same for verbs with a command behind: what follows the first word that is no option is left
 * alone. */
int parse_command_options(int *argc, char ***argv, const char *synopsis, const char *summary,
			  const char *description, const GOptionEntry *entries);

/* The exit status for a negative errno, by sysexits.h. */
int status_of(int error);

#endif
