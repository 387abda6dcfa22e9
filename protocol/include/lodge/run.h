/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-3-Clause */
/*
 * The ports of an instant VM (`lodge run`), and the lines that its init sends to the host.
 *
 * The ports are virtio-console ports (virtio 1.2 section 5.3), found in the guest by their names:
 * /sys/class/virtio-ports/vportNpM/name. protocol/spec/run.md says who speaks when.
 */
#ifndef LODGE_RUN_H
#define LODGE_RUN_H

/* Bytes of the command's streams, as they are. A port that the VM lacks is a stream that is not
 * redirected: the console takes its place. */
#define LODGE_RUN_PORT_STDIN  "org.lodge.run.stdin"
#define LODGE_RUN_PORT_STDOUT "org.lodge.run.stdout"
#define LODGE_RUN_PORT_STDERR "org.lodge.run.stderr"
/* Guest to host only: the lines below. */
#define LODGE_RUN_PORT_STATUS "org.lodge.run.status"

/* A line is ASCII, ends with '\n' and has no '\r' and no NUL. */
#define LODGE_RUN_LINE_MAX 32 /* bytes, the newline included */

#define LODGE_RUN_READY	     "ready" /* init has mounted what it must and starts the command */
#define LODGE_RUN_STATUS     "status " /* and a decimal number, 0 to LODGE_RUN_STATUS_MAX */
#define LODGE_RUN_STATUS_MAX 255 /* what wait(2) can tell; 128 + N where signal N killed it */

#endif
