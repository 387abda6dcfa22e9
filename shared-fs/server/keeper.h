/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keeper: the process that starts the server, and another one where that has died, such that
 * the guest does not notice. The guard is its parent, and does the same for keepers.
 *
 * Guard, keeper and server have one table of descriptors (CLONE_FILES) and some memory (shared.h)
 * in common. Whatever way a server dies, all that it had open stays open: the files of the guest,
 * also those that have no name any more, locks, the connection to the front end. The next server is
 * another child of the keeper, so that it finds the same addresses and numbers; it makes its tables
 * whole (fs_recover, backend_recover) and closes what belongs to nothing (keeper_close_others).
 *
 * Nor does it notice that a keeper died, with its server at the same moment or without: the guard
 * waits for the server that is left, and starts another keeper when that ends. All three at once
 * are the front end's to replace.
 *
 * Guard and keeper wait for their children, and do and read nothing else: what the guest can make a
 * server do reaches them by the child's end alone.
 */
#ifndef LODGE_FSD_KEEPER_H
#define LODGE_FSD_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keeper_state;

struct keeper {
	struct keeper_state *state;
	int folder; /* of the socket that is removed at the end, -1 */
	char *socket_name; /* NULL */
	char *arguments; /* the process's, in one piece; NULL: left alone */
	char *saved;
	size_t arguments_len;
	bool pid_namespace; /* a new one for each server */
	bool dispensable; /* a server goes on if its parents die: its connection ends it */
};

/*
 * Before the sandbox hides paths; @socket_path (copied) may be NULL. @argv is the process's own:
 * guard and keeper go by their names there, too, and the servers have all of it. -ENOMEM.
 */
int keeper_init(struct keeper *keeper, const char *socket_path, int argc, char **argv);
/*
 * Goes on in a server, and again in each that follows; guard and keepers stay in here. They end as
 * and when the last server ends, and the guard removes the socket. *@ret_first: no server was there
 * before. -errno.
 */
int keeper_serve(struct keeper *keeper, bool *ret_first);
/* The server has what it needs: if it dies from here on, another one is worth trying. */
void keeper_up(struct keeper *keeper);

/* Descriptors that are to stay. */
struct keeper_fds {
	uint64_t *bits;
	uint32_t n;
};
/* -ENOMEM. 0 to 2 and the keeper's own are in it already. */
int keeper_fds_init(struct keeper_fds *fds, const struct keeper *keeper);
/* @opaque is a struct keeper_fds. -1 is fine. */
void keeper_fds_add(void *opaque, int fd);
/* Closes all others, and frees. */
void keeper_close_others(struct keeper_fds *fds);

#endif
