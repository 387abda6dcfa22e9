/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Helper processes: found beside the program, started with nothing but what they need, ended for
 * sure.
 *
 * A child gets stdin from /dev/null, our stdout closed to it (as /dev/null too), our stderr, and
 * the descriptors named here, at the numbers 3 and up in the order given; nothing else is open in
 * it. It is killed when the thread that started it ends (PR_SET_PDEATHSIG), so start it on the
 * thread that will stop it or on one that lives as long.
 */
#ifndef LODGE_VMM_SPAWN_H
#define LODGE_VMM_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

#include "protocol/lib/fd.h"

#define SPAWN_FDS_MAX	 FD_PASS_MAX
#define SPAWN_FIRST_FD	 3
#define SPAWN_STATUS_MAX 64

struct child {
	pid_t pid; /* 0: none */
	int pidfd;
};

/*
 * The path of helper @name, to be freed: beside our own executable, else in $LODGE_LIBEXEC, else
 * PREFIX/libexec/lodge. -ENOENT where no executable file is at any of them.
 */
int spawn_find(const char *name, char **ret_path);

/* -errno of fork(2); what goes wrong in the child later shows as its end with status 127. */
int spawn_child(const char *path, char *const argv[], const int *fds, size_t n_fds,
		struct child *ret_child);

/* For a killed child to be gone. A process that closes a file on an NFS server that is silent, as
 * it does at its end, waits for that server, and no signal helps. */
#define SPAWN_GONE_MS 2000

/*
 * Ends the child: waits up to @grace_ms for it to end by itself, then kills it, and what it started
 * in any case; reaps it. *@ret_status is as waitpid(2) gives it; may be NULL. Fine where there is
 * none. -ETIMEDOUT: it does not die, and is nobody's business from here on but spawn_reap()'s.
 */
int spawn_end(struct child *child, unsigned int grace_ms, int *ret_status);
/* Reaps all children that have ended: for callers that have none but those that did not die. */
void spawn_reap(void);

/* "exit status 1", "signal 9 (Killed)". */
void spawn_status_text(int status, char room[SPAWN_STATUS_MAX]);

#endif
