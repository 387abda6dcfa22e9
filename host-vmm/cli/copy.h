/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies between this host and a running VM's guest, over one link: what `lodge cp` is made of.
 *
 * A copy that fails leaves nothing under its final name: files and new folders are made under a
 * temporary one. The guest's archives are as hostile as the guest: only files, folders and links
 * are taken from them, and no name leads out of where they go.
 *
 * Functions print their errors, and return 0 or a status of sysexits.h.
 */
#ifndef LODGE_VMM_CLI_COPY_H
#define LODGE_VMM_CLI_COPY_H

#include <glib.h>
#include <stdbool.h>

#include "host-vmm/cli/guest_link.h"

struct copy {
	struct guest_link *link;
	const char *name; /* of the VM, for messages */
	const char *user; /* of the guest, or NULL */
	int signals; /* a signalfd: the copy ends when it is readable */
	bool progress; /* told on standard error */
	bool archive; /* as cp -a: owners and attributes, too */

	/* Of the one that is under way. */
	const char *what; /* the guest's path, for messages */
	const char *here; /* NULL, or what of this host made it fail */
	bool written; /* by being written, not read */
	struct guest_command command;
	struct guest_stream stream;
	guint64 bytes; /* that passed */
	gint64 started, shown; /* monotonic */
};

enum copy_kind {
	COPY_MISSING = 1,
	COPY_FILE = 2,
	COPY_FOLDER = 3,
};

/* What @path is in the guest. */
int copy_probe(struct copy *copy, const char *path, enum copy_kind *ret_kind);
/* The file or folder @path of the guest, to @parent/@final here; @parent exists. */
int copy_get(struct copy *copy, const char *path, const char *parent, const char *final);
/* Its bytes to @fd, which messages call @here. */
int copy_get_stream(struct copy *copy, const char *path, int fd, const char *here);
/* The file or folder @path of this host, as @name below the guest's folder @folder. */
int copy_put_tree(struct copy *copy, const char *path, const char *folder, const char *name);
/* What @fd gives, which messages call @here, to the guest's @path; a regular file's mode and time
 * go along. */
int copy_put_stream(struct copy *copy, int fd, const char *here, const char *path);

/* ---- for its own files ---- */

/* Sends "WORD path=... user=... FIELDS stream"; FIELDS as "key=value" each, NULL behind the last.
 */
int copy_begin(struct copy *copy, const char *word, const char *path, const char *const *fields,
	       bool from_guest);
/* Waits until there are bytes, or room, or the end: 0, -EINTR for a signal, or an errno of the
 * link. */
int copy_wait(struct copy *copy);
/* Counts, and tells how far it is. */
void copy_count(struct copy *copy, size_t bytes);
/* All @len bytes into the stream. A negative errno; -EPIPE: the guest's result tells why. */
int copy_send(struct copy *copy, const void *bytes, size_t len, bool end);
/* The error that is given to copy_finish() next is of @here on this host, a text that must stay
 * till then, and not of the guest: what could not be read, or else written. */
void copy_blame(struct copy *copy, const char *here, bool written);
/* Waits for the result. @error is what went wrong here, or 0. Ends the stream. */
int copy_finish(struct copy *copy, int error);
/* Ends it early, and no word of it. */
int copy_cancel(struct copy *copy);

#endif
