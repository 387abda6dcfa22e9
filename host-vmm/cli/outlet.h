/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes to a descriptor of the user's without ever waiting for its reader, and without making it
 * non-blocking: the flag would be seen by whoever shares the file description, the shell first.
 */
#ifndef LODGE_VMM_CLI_OUTLET_H
#define LODGE_VMM_CLI_OUTLET_H

#include <poll.h>
#include <stddef.h>
#include <sys/types.h>

enum outlet_kind {
	OUTLET_FILE = 1, /* never makes anybody wait */
	OUTLET_OWN = 2, /* a description of our own, non-blocking */
	OUTLET_SOCKET = 3,
	OUTLET_CAREFUL = 4, /* what poll(2) promises and no byte more */
};

struct outlet {
	int fd; /* to poll */
	enum outlet_kind kind;
};

void outlet_open(int fd, struct outlet *ret_outlet);
void outlet_close(struct outlet *outlet);
/* Call it when poll(2) said POLLOUT. Bytes written, 0: none now, or a negative errno. */
ssize_t outlet_write(const struct outlet *outlet, const void *bytes, size_t len);

#endif
