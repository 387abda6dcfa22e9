/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lodge-toolbox: what its verbs share. A verb returns the exit status, of sysexits.h as users of
 * vmware-toolbox-cmd know them: EX_USAGE (64), EX_UNAVAILABLE (69: not here, or switched off),
 * EX_OSFILE (72: no such thing), EX_TEMPFAIL (75: it failed), EX_NOPERM (77: for root).
 */
#ifndef LODGE_GUEST_TOOLBOX_H
#define LODGE_GUEST_TOOLBOX_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sysexits.h>

#include "guest-daemon/lib/door.h"

struct toolbox {
	const char *name; /* what it was called by */
	bool quiet;
	int only; /* enum door_kind, or -1: the best */
	const char *door_path, *conf;
};

struct verb {
	const char *name;
	bool for_root;
	/* @argv: what follows the verb, @argc words, NULL behind. */
	int (*run)(const struct toolbox *toolbox, int argc, char **argv);
	const char
		*help; /* behind the verb's name in the help; NULL for the last ones: not in it */
};

int verb_absent(const struct toolbox *toolbox, int argc, char **argv);
int verb_config(const struct toolbox *toolbox, int argc, char **argv);
int verb_device(const struct toolbox *toolbox, int argc, char **argv);
int verb_display(const struct toolbox *toolbox, int argc, char **argv);
int verb_info(const struct toolbox *toolbox, int argc, char **argv);
int verb_logging(const struct toolbox *toolbox, int argc, char **argv);
int verb_rpc(const struct toolbox *toolbox, int argc, char **argv);
int verb_script(const struct toolbox *toolbox, int argc, char **argv);
int verb_share(const struct toolbox *toolbox, int argc, char **argv);
int verb_stat(const struct toolbox *toolbox, int argc, char **argv);
int verb_status(const struct toolbox *toolbox, int argc, char **argv);
int verb_timesync(const struct toolbox *toolbox, int argc, char **argv);

/* "toolbox: text" on stderr; returns @status. */
int complain(const struct toolbox *toolbox, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* EX_USAGE, with what is wrong and where help is. */
int misused(const struct toolbox *toolbox, const char *what, const char *which);

/* ---- conf.c ---- */

/* Sets a key of tools.conf, or with NULL removes it; the exit status. */
int toolbox_change_conf(const struct toolbox *toolbox, const char *group, const char *key,
			const char *value);

/* ---- time.c ---- */

/* Seconds since 1970. -EOPNOTSUPP: the host does not tell; else as toolbox_ask(). */
int toolbox_host_time(const struct toolbox *toolbox, int64_t *ret_seconds);

/* ---- json.c ---- */

/* Any bytes as a JSON string; what is not UTF-8 is shown as U+FFFD. */
void json_print_string(const char *text);

/* ---- connection.c ---- */

#define ASK_MS 5000

/* The best door that answers. *ret_why (may be NULL): lines "name: reason" of those that do not,
 * g_free(). */
int toolbox_open(const struct toolbox *toolbox, struct door **ret_door, char **ret_why);
/* Opens, asks, closes. The answer's payload is the caller's, free(). */
int toolbox_ask(const struct toolbox *toolbox, const void *message, size_t len,
		struct door_answer *ret_answer);
/* Complains about what toolbox_ask() or toolbox_open() returned; the exit status. */
int toolbox_no_host(const struct toolbox *toolbox, int error);

#endif
