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
 * First step, single-threaded, before anything is opened: namespaces. -errno, after a message,
 * where the mode that was asked for is not possible here.
 */
int sandbox_enter(struct sandbox *sandbox);

/*
 * Second step, all sockets and folders being open: the empty root. @share_fds (O_PATH) are replaced
 * by the same folders in the new mount namespace. The working folder is the host's /proc then.
 */
int sandbox_build(const struct sandbox *sandbox, const struct share_option *shares, int *share_fds,
		  size_t n_shares);

/*
 * Last step, in each process that serves (the keeper stays outside): capabilities, landlock where
 * it is the mode, and the system call filter.
 */
int sandbox_seal(struct sandbox *sandbox, const struct share_option *shares, const int *share_fds,
		 size_t n_shares);

/* For people. */
const char *sandbox_name(const struct sandbox *sandbox);

/* seccomp.c: allows what the server needs and nothing else. */
int seccomp_install(void);

#endif
