/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inodes that the kernel has forgotten, held back for a moment so that many go to the host as one
 * message: it takes them with one wake-up in place of one for each. Nothing waits for them; what
 * they cost while they are held is that the host keeps the files. So they are few, the wait is
 * short, and whoever asks for something that a removed file may still take up sends them first.
 *
 * Locking: its own, but for making and unmaking.
 */
#ifndef LODGE_MOUNT_FORGETS_H
#define LODGE_MOUNT_FORGETS_H

#include <linux/fuse.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORGETS_MAX	64u
#define FORGETS_HELD_MS 20
/* A BATCH_FORGET of them all. */
#define FORGETS_MESSAGE_MAX                                                    \
	(sizeof(struct fuse_in_header) + sizeof(struct fuse_batch_forget_in) + \
	 FORGETS_MAX * sizeof(struct fuse_forget_one))

struct forgets {
	pthread_mutex_t lock; /* of what follows */
	int timer_fd; /* readable when they have been held for long enough */
	uint32_t n; /* atomic for readers without the lock */
	uint64_t unique; /* the last one's */
	struct fuse_forget_one items[FORGETS_MAX];
};

/* Negative errno. */
int forgets_init(struct forgets *forgets);
void forgets_end(struct forgets *forgets);

/* Holds @request, @size bytes long. False: it is no whole FORGET, or there is no room: it is to be
 * sent as it is, behind those that are held. */
bool forgets_hold(struct forgets *forgets, const void *request, size_t size);
/* Whether @request must not come to the host before them. */
bool forgets_go_before(const struct forgets *forgets, const struct fuse_in_header *request);
/* Takes them all: a message of FORGETS_MESSAGE_MAX bytes at most at @message, its size; 0: none. */
size_t forgets_take(struct forgets *forgets, void *message);

#endif
