/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A world for verbs of the command: folders of their own, a monitor and a guest's tools to talk to.
 */
#ifndef LODGE_TESTS_UNIT_VERBS_RIG_H
#define LODGE_TESTS_UNIT_VERBS_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CONF "[boot]\nkernel=/k\n" /* of make_vm() */

typedef int (*verb_fn)(int argc, char **argv);

extern char root[]; /* the working folder: data/lodge has the user's VMs, run/lodge what is at run
		       time */
extern char *said; /* by the last verb, on both of its streams */

/* A fixture of libcheck's. */
void make_world(void);
void remove_world(void);
void make_vm(const char *dir);

int status_of_child(pid_t child);
/* In a process of its own, since verbs end what they print into. */
int run(verb_fn verb, const char *const *words);
#define RUN(verb, ...) run(verb, (const char *const[]){ __VA_ARGS__, NULL })
void assert_said(const char *what);

struct part {
	bool missed; /* the guest's tools have missed their heartbeat */
	const char *lies; /* members of what it answers to all, or NULL */
	bool deaf; /* the guest does not hear the power button, and its tools refuse then */
};

extern struct part part; /* of the monitor that is started next */
extern unsigned int *presses; /* of its button, shared with it */

/* The monitor that runs in the run-time folder of @name, for the VM in @dir. */
pid_t start_monitor(const char *name, const char *dir);

/* Serves "box" one command, whose stdout @lines are. */
void start_tools(const char *lines, size_t len);

#endif
