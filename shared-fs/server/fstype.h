/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which file system a descriptor is on, and what follows from that. To ask costs an answer of the
 * machine that has it, which may be another one and silent.
 */
#ifndef LODGE_FSD_FSTYPE_H
#define LODGE_FSD_FSTYPE_H

#include <stdbool.h>

enum fs_kind {
	FS_LOCAL,
	FS_PSEUDO, /* a window to the host's kernel */
	FS_REMOTE, /* another machine's, or a program's: whether it answers is not ours to say */
};

/* Of any descriptor. Waits for the answer. */
enum fs_kind fd_kind(int fd);

struct folder_facts {
	bool silent; /* no answer in time: the rest is what is safe to think of it */
	bool local; /* on this machine's own file system: close(2) can not fail */
	bool large_pages; /* in the host's cache: on tmpfs */
	int error; /* 0, or why it cannot be read: a negative errno */
};

/*
 * Of a folder (@fd: O_PATH, or not). Waits a second at most. A thread may go on asking behind that,
 * by calls that make no descriptor: @fd may be closed meanwhile.
 */
void folder_ask(int fd, struct folder_facts *ret_facts);

#endif
