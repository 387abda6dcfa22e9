/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A starter: a small process of ours that starts one helper program, again and again, so that the
 * monitor needs neither fork nor exec once a guest runs, and its sandbox can forbid both.
 *
 * The starter knows one program and obeys two orders: start it (with arguments, each of which must
 * pass a check that was fixed when the starter was made, and with descriptors) and end it. A
 * monitor that a guest has taken over can have that program started and nothing else. Starter and
 * helper die when the monitor does.
 *
 * Locking: none; one thread at a time.
 */
#ifndef LODGE_VMM_STARTER_H
#define LODGE_VMM_STARTER_H

#include <stdbool.h>
#include <stddef.h>

#include "host-vmm/vhost-user/spawn.h"

struct starter;

#define STARTER_FDS_MAX	 250 /* below SCM_MAX_FD of Linux, 253, in one message */
#define STARTER_ARGS_MAX 256
#define STARTER_TEXT_MAX (128u << 10) /* bytes of all arguments */

/*
 * Forks the starter for @program (a path). @allowed runs in it, on every argument but the first,
 * and must not allocate. Call it on a thread that lives as long as the starter shall.
 */
int starter_create(const char *program, bool (*allowed)(const char *argument),
		   struct starter **ret_starter);
/* Ends helper and starter. NULL is fine. */
void starter_destroy(struct starter *starter);

/*
 * Starts the program as spawn_child() does; @argv ends with NULL. -EBUSY while one runs, -EPERM
 * where an argument does not pass, -EPIPE where the starter is gone.
 */
int starter_start(struct starter *starter, char *const argv[], const int *fds, size_t n_fds);
/*
 * Ends the helper: waits up to @grace_ms for it to end by itself, then kills it. 0 with
 * *@ret_status as waitpid(2) gives it; -ECHILD where there is none, -EPIPE where the starter is
 * gone (and so is the helper).
 */
int starter_end(struct starter *starter, unsigned int grace_ms, int *ret_status);

#endif
