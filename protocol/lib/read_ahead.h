/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How far a guest's kernel reads ahead in files of a share. */
#ifndef LODGE_LIB_READ_AHEAD_H
#define LODGE_LIB_READ_AHEAD_H

#include <sys/types.h>

/* What the kernel asks for at once of a file that is read from its beginning on. Its own measure
 * (VM_READAHEAD_PAGES, 128 KiB) is a disk's; here each request is a round to the host. INIT's reply
 * could only lower it. */
#define READ_AHEAD_KIB 512u

/*
 * For the file system @device ("MAJOR:MINOR", as mountinfo has it), at /sys/class/bdi: 0, or a
 * negative errno, and the kernel's own measure stays; it is no reason to do without the mount.
 */
int read_ahead_set(const char *device, unsigned int kib);
/* The same for the file system that @path is on: it is asked, and may keep one waiting. */
int read_ahead_set_at(const char *path, unsigned int kib);

#endif
