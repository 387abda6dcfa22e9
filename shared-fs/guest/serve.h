/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ways 2 and 3: the process that mounts a device whole and serves the mount until it is gone. */
#ifndef LODGE_MOUNT_SERVE_H
#define LODGE_MOUNT_SERVE_H

#include <stdbool.h>
#include <sys/types.h>

/* Types of the file systems that are mounted. */
#define SERVE_TYPE     "fuse.lodge"
#define SERVE_TYPE_RPC "fuse.lodge-rpc"

struct serve_wish {
	const char *tag;
	const char *path; /* where it is mounted whole */
	int messages_fd; /* way 3: the stream of messages; -1: way 2, the device of @tag */
	bool attached; /* it dies with the process that starts it */
};

/*
 * Mounts, moves messages in a process of its own, and returns when INIT was answered: 0 and its
 * number, or a negative errno. That process ends when the mount is gone and nothing else of the
 * device is mounted; once something else was, and is no more, it unmounts the whole by itself.
 */
int serve_start(const struct serve_wish *wish, pid_t *ret_pid);
/*
 * For whoever started one that is attached: waits for its end, or for a SIGTERM, SIGINT or SIGHUP,
 * which ends it. Then nothing of @device (MAJOR:MINOR) stays mounted. Its exit status; 0 where we
 * were asked to end. These signals and SIGCHLD are blocked.
 */
int serve_wait(pid_t pid, const char *device);

#endif
