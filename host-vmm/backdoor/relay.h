/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tools.sock: host programs run programs and move files in the guest through it
 * (protocol/spec/guest-ops.md).
 *
 * The relay gives each client's commands and streams to the guest's tools under tags and numbers of
 * their own, and brings back what comes. It checks headers, the words, and both sides' credits,
 * and looks into nothing else. All of it runs on the machine's loop.
 *
 * Memory is bounded by the credits: what a client, or the guest, may send is given out only while
 * what it sent before has somewhere to go.
 */
#ifndef LODGE_VMM_RELAY_H
#define LODGE_VMM_RELAY_H

struct backdoor;
struct loop;
struct relay;

#define RELAY_CLIENTS_MAX 16 /* protocol/spec/guest-ops.md, "tools.sock" */
#define RELAY_CALLS_MAX	  8 /* open commands of a client, likewise */

/*
 * Listens at @path and serves until relay_stop(). @loop is the machine's, where the tools'
 * callbacks run. -EADDRINUSE where a live process listens there, -ENAMETOOLONG, or another errno.
 */
int relay_start(struct backdoor *backdoor, struct loop *loop, const char *path,
		struct relay **ret_relay);
/* Closes all clients, ends what they had open in the guest, removes the socket. NULL is fine. Not
 * on the loop. */
void relay_stop(struct relay *relay);

#endif
