/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How this system is ended: by whatever its process 1 is.
 */
#ifndef LODGE_GUEST_SHUTDOWN_H
#define LODGE_GUEST_SHUTDOWN_H

struct children;

enum shutdown { SHUTDOWN_NONE, SHUTDOWN_HALT, SHUTDOWN_REBOOT };

/* Begins it, in a child; it cannot be taken back. */
void shutdown_start(struct children *children, enum shutdown what);

#endif
