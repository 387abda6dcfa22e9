/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What chardev.c (the stream) and chardev_open.c (the kinds of back ends) share.
 */
#ifndef LODGE_VMM_CHARDEV_PRIVATE_H
#define LODGE_VMM_CHARDEV_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

#include "host-vmm/chardev.h"

struct loop_source;

#define CHARDEV_CHUNK 1024u /* bytes read at once, and kept where received() did not take them */

/* Descriptors are -1 where there is none. All are ours. */
struct chardev {
	struct loop *loop;
	const struct chardev_events *events;
	void *opaque;
	char *path; /* chardev_path() */

	/* Loop's thread only, after creation: */
	int wake_fd; /* eventfd: chardev_resume() */
	int listen_fd, spare_fd; /* "socket:"; unix_accept() */
	int watch_fd; /* "pty": inotify, tells when the other side is opened */
	struct loop_source *wake, *listen, *watch, *in, *out;
	uint8_t kept[CHARDEV_CHUNK];
	size_t kept_at, kept_len;
	bool in_pollable;

	bool reader_gone; /* atomic: a write failed, and the device is still to be told */
	bool paused; /* atomic: nothing is read until chardev_resume() */

	pthread_mutex_t lock; /* what follows; events are called without it */
	int in_fd, out_fd;
	bool is_open;
	bool out_pollable, wants_room;
	bool is_pty;
	bool capped; /* "file:" */
	uint64_t size; /* of a capped file */

	bool terminal_changed; /* "stdio" */
	struct termios terminal;
};

/* Opens the back end: fills the descriptors, or says why not in *ret_remedy. */
int chardev_open(struct chardev *chardev, const char *backend, const char *dir,
		 const char **ret_remedy);
/* Undoes what is not a descriptor: terminal modes, the socket's name. */
void chardev_close(struct chardev *chardev);

/* Makes room in a capped file by dropping its oldest part. */
void chardev_trim(struct chardev *chardev);

#endif
