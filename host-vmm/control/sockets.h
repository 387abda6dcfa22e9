/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sockets of a running VM: control.sock, tools.sock and display.sock, in its run-time folder.
 */
#ifndef LODGE_VMM_CONTROL_SOCKETS_H
#define LODGE_VMM_CONTROL_SOCKETS_H

struct machine;
struct sockets;

/*
 * Makes @runtime where it is missing, claims it (conf/claim.h), and serves its sockets until
 * sockets_stop(). On an error one line has been logged. Main thread.
 */
int sockets_start(struct machine *machine, const char *runtime, struct sockets **ret_sockets);
/* @why: how the guest ended, the word that followers hear last. NULL sockets are fine. */
void sockets_stop(struct sockets *sockets, const char *why);

#endif
