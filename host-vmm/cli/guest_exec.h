/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs one program in the guest with our standard streams (protocol/spec/guest-ops.md). */
#ifndef LODGE_VMM_CLI_GUEST_EXEC_H
#define LODGE_VMM_CLI_GUEST_EXEC_H

#include <stdbool.h>

struct guest_link;

struct guest_exec_spec {
	const char *name; /* of the VM, for messages */
	const char *user, *dir; /* or NULL */
	char **env; /* NAME=VALUE each, or NULL */
	char **argv; /* at least one */
	bool tty;
	bool no_stdin;
	unsigned int timeout_s; /* 0: none */
};

/*
 * Follows the program to its end: signals that we get are passed on, as is the terminal's size.
 * Closes @link.
 * Returns its status, or GUEST_NO_TOOLS to GUEST_NOT_FOUND with the error printed.
 */
int guest_exec(struct guest_link *link, const struct guest_exec_spec *spec);

#endif
