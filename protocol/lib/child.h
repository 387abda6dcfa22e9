/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process that lives for another one, and ends it when it is asked to end itself. */
#ifndef LODGE_LIB_CHILD_H
#define LODGE_LIB_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Waits for the end of @child (-1: any): true with its wait status, false where there is none.
 * SIGTERM, SIGINT and SIGHUP are sent to @victim as @signal, and noted in *@asked, which is left as
 * it is otherwise. These and SIGCHLD are blocked in the caller afterwards; it has no other thread.
 */
bool child_wait(pid_t child, pid_t victim, int signal, int *ret_status, bool *asked);

#endif
