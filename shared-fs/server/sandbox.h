/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is left to the server once it serves: see the head of sandbox.c.
 */
#ifndef LODGE_FSD_SANDBOX_H
#define LODGE_FSD_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "shared-fs/server/options.h"

struct sandbox {
	enum sandbox_mode mode; /* what was asked for; afterwards what it is */
	bool user_namespace; /* foreign owners look like 65534 from here */
	bool can_switch_ids; /* files can be made as any user */
};

/*
 * First step, single-threaded, before anything is opened: namespaces. In a new PID namespace the
 * caller goes on as a child; the parent never returns from here but waits, unlinks @socket_path
 * (may be NULL) and exits with the child's status. -errno, after a message, where the mode that was
 * asked for is not possible here.
 */
int sandbox_enter(struct sandbox *sandbox, const char *socket_path);

/*
 * Last step before serving, all sockets and folders being open: the empty root, capabilities,
 * landlock where it is the mode, and the system call filter. @share_fds (O_PATH) are replaced by
 * the same folders in the new mount namespace. @work_fd becomes the working folder.
 */
int sandbox_seal(struct sandbox *sandbox, const struct share_option *shares, int *share_fds,
		 size_t n_shares, int work_fd);

/* seccomp.c: allows what the server needs and nothing else. */
int seccomp_install(void);

#endif
