/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A starter: a small process of ours that starts one helper program, again and again, so that the
 * monitor needs neither fork nor exec once a guest runs, and its sandbox can forbid both.
 *
 * The starter knows one program with its arguments, fixed before any guest ran, and obeys two
 * orders: start it, with descriptors that the monitor holds, and end it. A monitor that a guest has
 * taken over can have that program started and nothing else. Starter and helper die when the
 * monitor does.
 *
 * Locking: none; one thread at a time.
 */
#ifndef LODGE_VMM_STARTER_H
#define LODGE_VMM_STARTER_H

#include <stddef.h>

#include "host-vmm/vhost-user/spawn.h"
#include "protocol/lib/fd.h"

struct starter;

#define STARTER_FDS_MAX FD_PASS_MAX

/*
 * Forks the starter for @program (a path) with the arguments @argv, which ends with NULL. Call it
 * on a thread that lives as long as the starter shall.
 */
int starter_create(const char *program, char *const argv[], struct starter **ret_starter);
/* Ends helper and starter. NULL is fine. */
void starter_destroy(struct starter *starter);

/*
 * Starts the program with @fds at 3 and up, as spawn_child() does. -EBUSY while one runs, -E2BIG,
 * -EPIPE where the starter is gone.
 */
int starter_start(struct starter *starter, const int *fds, size_t n_fds);
/*
 * Ends the helper: waits up to @grace_ms for it to end by itself, then kills it. 0 with
 * *@ret_status as waitpid(2) gives it; -ECHILD where there is none, -EPIPE where the starter is
 * gone (and so is the helper), -ETIMEDOUT where it does not die: another one can be started.
 */
int starter_end(struct starter *starter, unsigned int grace_ms, int *ret_status);

#endif
