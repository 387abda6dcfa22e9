/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shares added and removed while the server runs, by lines of text on a Unix socket:
 * protocol/spec/fs.md, "The control socket".
 */
#ifndef LODGE_FSD_CONTROL_H
#define LODGE_FSD_CONTROL_H

#include "shared-fs/server/fs.h"

#define CONTROL_LINE_MAX 1024 /* bytes, without the newline */

struct control {
	struct fs *fs;
	int listen_fd; /* -1: the connection was given */
	int fd; /* -1: nobody is connected */
	int passed_fd; /* a folder that came with the line, -1 */
	size_t len;
	char line[CONTROL_LINE_MAX + 1];
};

void control_init(struct control *control, struct fs *fs, int listen_fd, int fd);
/* The descriptor to wait for (POLLIN), -1 for none. */
int control_fd(const struct control *control);
/* Call when it is readable: accepts, or takes what came and answers each whole line. */
void control_serve(struct control *control);
/* In a server that came after one that died: a command that was being run gets an error. */
void control_recover(struct control *control);
void control_fini(struct control *control);

#endif
