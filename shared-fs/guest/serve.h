/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Way 2: the process that mounts a device whole and serves the mount until it is gone. */
#ifndef LODGE_MOUNT_SERVE_H
#define LODGE_MOUNT_SERVE_H

/*
 * Mounts the device @tag at @path, moves messages in a process of its own, and returns when INIT
 * was answered: 0 or a negative errno. That process ends when @path is unmounted and nothing else
 * of the device is mounted; once something else was, and is no more, it unmounts @path by itself.
 */
int serve_start(const char *tag, const char *path);

#endif
