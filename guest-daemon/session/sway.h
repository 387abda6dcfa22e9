/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sway's own socket, as sway-ipc(7) has it. */
#ifndef LODGE_SESSION_SWAY_H
#define LODGE_SESSION_SWAY_H

#include <stdint.h>
#include <sys/types.h>

/* The socket of the sway that is process @pid, which the caller closes. -ENOENT: that is no sway.
 */
int sway_connect(pid_t pid);
/*
 * Has the output @name, of letters, digits and dashes, show so many pixels at 60 Hz. 0: sway has
 * answered, whatever; the head tells what it did. -EIO: it does not answer in time.
 */
int sway_set_mode(int sway, const char *name, uint32_t width, uint32_t height);

#endif
