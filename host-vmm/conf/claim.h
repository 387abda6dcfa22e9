/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A folder at run time that one process alone works in, until it closes a descriptor or dies. */
#ifndef LODGE_VMM_CONF_CLAIM_H
#define LODGE_VMM_CONF_CLAIM_H

/*
 * Makes @dir where it is missing, with mode 0700, and claims it by flock(2). -EADDRINUSE where
 * somebody has it, -EPERM where others may write to it. Who has it may remove it.
 */
int claim_folder(const char *dir, int *ret_fd);
/* The same of a folder that somebody may have left behind: -ENOENT or -ESTALE where it is gone. */
int claim_left(const char *dir, int *ret_fd);

#endif
