/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The folders of configured shares, which may be on machines that are silent when the VM starts:
 * it starts without those, and each comes when its machine answers.
 */
#ifndef LODGE_VMM_FS_LATE_H
#define LODGE_VMM_FS_LATE_H

#include <stddef.h>

struct fs_backend;
struct fs_late;
struct vm_share;

/*
 * Opens the folders of the @n @shares, all at once, and adds those to @backend that are there, in
 * their order. The others are added by threads of their own, any time until fs_late_destroy(). It
 * is given back also with an error: a negative errno of a share that cannot be added, which has
 * been logged. Main thread.
 */
int fs_late_create(struct fs_backend *backend, const struct vm_share *shares, size_t n,
		   struct fs_late **ret_late);
/* To be called before the back end goes; threads that wait still are left to themselves. NULL is
 * fine. */
void fs_late_destroy(struct fs_late *late);

#endif
