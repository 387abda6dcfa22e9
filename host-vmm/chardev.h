/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's end of a byte stream that the guest writes and reads: serial ports, console ports.
 *
 * A back end is named by text, as in vm.conf:
 *
 *	none          reads nothing, drops what is written
 *	stdio         descriptors 0 and 1; a terminal is set raw, and Ctrl-] sends SIGQUIT
 *	fd:IN[,OUT]   descriptors that our parent opened; -1 for none; OUT is IN where not given
 *	pty           a new pseudo terminal; its path is logged and told by chardev_path()
 *	file:PATH     output only, at most CHARDEV_FILE_MAX bytes: beyond, the oldest are dropped.
 *	              What the disk has no room for is dropped, too
 *	socket:PATH   a Unix stream socket on which we listen; one client at a time: what one that
 *	              left has written, and the device has not taken, goes when the next one comes
 *
 * Nothing here grows with what a guest writes: output is taken as fast as the back end takes it,
 * and no faster; where nobody is at the other end (no client, pty not open), it is dropped. The
 * process must ignore SIGPIPE.
 */
#ifndef LODGE_VMM_CHARDEV_H
#define LODGE_VMM_CHARDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chardev;
struct loop;

#define CHARDEV_FILE_MAX (16u << 20) /* bytes that "file:" keeps on disk */

/* Called on the loop's thread; each may be NULL. None may call chardev_destroy(). */
struct chardev_events {
	/*
	 * Bytes came from the host: returns how many were taken. Where that is less than @len, the
	 * rest is kept and reading stops until chardev_resume().
	 */
	size_t (*received)(void *opaque, const uint8_t *bytes, size_t len);
	/* There is room again after chardev_write() took less than it was given, or nobody is
	 * there any more and the rest is dropped. */
	void (*writable)(void *opaque);
	/* The other end came (true) or went (false). Those that have no notion of it, such as
	 * files, are open from the start and say nothing; but an input without an output
	 * ("fd:IN,-1") goes when it ends, behind its last byte. */
	void (*opened)(void *opaque, bool open);
};

/*
 * Opens @backend, relative paths being relative to @dir, and serves it on @loop; nothing is read
 * before the first chardev_resume(). On an error it has logged one line that names @name (what the
 * stream is: "serial"), the back end and the remedy. -EINVAL for a back end that is none of the
 * above, else the errno of opening it.
 */
int chardev_create(const char *name, const char *backend, const char *dir, struct loop *loop,
		   const struct chardev_events *events, void *opaque, struct chardev **ret_chardev);
/* No event runs any more once this returns. Not on the loop's thread. NULL is fine. */
void chardev_destroy(struct chardev *chardev);

/* 0 if @backend is well formed, else -EINVAL. Opens nothing. */
int chardev_check(const char *backend);

/* Writes without blocking: how many bytes were taken (or dropped, with nobody there to read). Any
 * thread. */
size_t chardev_write(struct chardev *chardev, const void *bytes, size_t len);
/* Lets received() be called (again). Any thread. */
void chardev_resume(struct chardev *chardev);
/* Whether somebody is there. Any thread. */
bool chardev_is_open(struct chardev *chardev);
/* Where to find it: the pty's or socket's or file's path, or NULL. Owned by @chardev. */
const char *chardev_path(const struct chardev *chardev);

#endif
