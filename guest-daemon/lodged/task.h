/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest operations (protocol/spec/guest-ops.md): one command of the host that a child carries out
 * as a user of the guest, its standard streams being streams of the door.
 *
 * A task answers its command, once, whatever happens: with an error before a child was made, with
 * what the child reported, or with its end.
 */
#ifndef LODGE_GUEST_TASK_H
#define LODGE_GUEST_TASK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "guest-daemon/lib/report.h"
#include "guest-daemon/lodged/pump.h"
#include "protocol/lib/fields.h"

struct lodged;
struct task;

/* All that a child needs; made from the fields of the command, which it points into. */
struct task_spec {
	const char *fields;
	size_t len;
	char *user; /* g_free() */
	bool allow_root; /* the policy */
	const char *helpers; /* the folder of lodge-files */
	bool tty;
	uint16_t cols, rows;
};

struct task_type {
	const char *word; /* for the log: "exec" */
	/* What it is about, for the log and for mistakes: 0 and *ret_about (g_free()), or an errno
	 * of guest-ops.md with *ret_about as its text. */
	int (*check)(const struct task_spec *spec, char **ret_about);
	/*
	 * In the child, as the user, with the streams in place. 0: done. Else *report tells why
	 * not.
	 * @report_fd: for a program that it becomes, open and close-on-exec.
	 */
	int (*run)(const struct task_spec *spec, int report_fd, struct report *report);
	/* A transfer: any stream that is reset ends it, and its output ends only when all went
	 * well. */
	bool transfer;
	/* Fields of "OK " when the child has ended with @status, as a shell has it. False: an error
	 * where @status is not 0. */
	bool (*ok)(struct fields_builder *result, int status, int signal, uint64_t bytes);
};

struct tasks;

/* struct plugin's callbacks of those whose state is struct tasks: the last two end all. */
int tasks_start(struct lodged *lodged, void **ret_state);
void tasks_lost(void *state);
void tasks_stop(void *state);

/* Starts what @command asks for; takes it. */
void task_start(struct tasks *tasks, const struct task_type *type, struct door_command *command,
		const char *fields, size_t len);
/* NULL where no task has that job name. */
struct task *task_by_job(struct tasks *tasks, const char *job);
int task_signal(struct task *task, int number);
int task_resize(struct task *task, uint16_t cols, uint16_t rows);

/* "COLSxROWS", 1 to 65535 each. */
int task_parse_size(const char *text, uint16_t *ret_cols, uint16_t *ret_rows);

/* ---- policy.c ---- */

/*
 * Whether the owner of this guest allows it, and as whom: fills in user and allow_root of @spec
 * from its "user" field. -EACCES with *ret_why, static text.
 */
int policy_check(struct lodged *lodged, struct task_spec *spec, const char **ret_why);

/* ---- account.c: in the child ---- */

struct account {
	uid_t uid;
	gid_t gid;
	char *name, *home, *shell;
};

/* Becomes @spec->user for good, with the groups of a login. 0, or *report. */
int account_become(const struct task_spec *spec, struct account *ret_account,
		   struct report *report);
/* The environment of a login of that user, then the "env" fields: execvpe()'s; never freed. */
char **account_environment(const struct account *account, const struct task_spec *spec);

#endif
