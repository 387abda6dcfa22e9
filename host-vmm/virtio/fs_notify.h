/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the host changes in shares, on its way from lodge-fsd to the guest's tools:
 * protocol/spec/fs-notify.md.
 *
 * One batch is with the tools at a time, and the next is read when they have answered: what a slow
 * guest leaves waits with lodge-fsd, which bounds it.
 *
 * Any thread, but not the backdoor's callbacks; each call waits for the loop's turn.
 */
#ifndef LODGE_VMM_FS_NOTIFY_H
#define LODGE_VMM_FS_NOTIFY_H

struct backdoor;
struct fs_notify;
struct loop;

/* @loop is the backdoor's. -ENOMEM. */
int fs_notify_create(struct backdoor *backdoor, struct loop *loop, struct fs_notify **ret_notify);
/* NULL is fine. */
void fs_notify_destroy(struct fs_notify *notify);
/* Takes @socket, connected to a lodge-fsd, in place of the one before; -1: there is none. NULL
 * @notify closes it. */
void fs_notify_connect(struct fs_notify *notify, int socket);

#endif
