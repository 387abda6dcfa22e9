/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Orders to a running lodge-fsd: shares that come and go. Lines of text on its control socket, a
 * folder's descriptor beside the line that adds it; each is answered by "ok" or "error TEXT".
 *
 * Locking: none; one thread at a time.
 */
#ifndef LODGE_VMM_FS_CONTROL_H
#define LODGE_VMM_FS_CONTROL_H

#include "host-vmm/virtio/fs_backend.h"

/* How a share's rules are told, on the command line and here: ":ro:owner=UID:GID:..." with @lead
 * for
 * ':', or "". */
#define FS_RULES_MAX 96
void fs_rules_text(const struct fs_share_info *info, char lead, char ret_text[FS_RULES_MAX]);

/* 0 if lodge-fsd said ok; -EREMOTEIO with its words in *ret_why if it refused; -EPIPE, -ETIMEDOUT,
 * -EINVAL for a name that no line can hold. */
int fs_control_add(int socket, const struct fs_share_info *info, int path_fd,
		   char ret_why[FS_WHY_MAX]);
/* The same, but a share of that name that is there stays as it is. */
int fs_control_keep(int socket, const struct fs_share_info *info, int path_fd,
		    char ret_why[FS_WHY_MAX]);
int fs_control_remove(int socket, const char *name, char ret_why[FS_WHY_MAX]);
/* Where the guest sees the DAX window. */
int fs_control_window(int socket, uint64_t gpa, char ret_why[FS_WHY_MAX]);

#endif
