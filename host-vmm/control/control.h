/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket of a running VM: JSON lines, as protocol/spec/control.md has them.
 *
 * Two layers. The server (server.c) knows lines, clients and limits and nothing of machines; a
 * const table of methods does the work. control_start() runs the server with the methods of a
 * machine (methods.c) on a GLib main loop in a thread of its own, so that it answers whatever the
 * main thread waits for.
 *
 * A client is believed if its peer credentials are our own user's or root's; others are closed.
 */
#ifndef LODGE_VMM_CONTROL_H
#define LODGE_VMM_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct control;
struct machine;

/* Bytes of a request, its newline included: a variable of 64 KiB in base64 fits. */
#define CONTROL_LINE_MAX    (256 << 10)
#define CONTROL_CLIENTS_MAX 16 /* at once; the next is told so and closed */
#define CONTROL_STALL_MS    5000 /* a client that does not read an answer for so long is dropped */
#define CONTROL_EVENTS_MAX  (256 << 10) /* bytes of events that a client has not read */

#define CONTROL_FOLLOWS 1

/* Why a request failed, for people: filled by a method that returns a negative errno. */
struct control_error {
	char *message; /* g_free(); NULL: the errno's text */
	char *hint; /* the remedy; g_free(); may be NULL */
};

/*
 * One row of a table that ends with a NULL name. @run gets params (never NULL, perhaps empty) and
 * an empty result object to fill. It runs on the server's thread and must not block. It returns 0
 * or CONTROL_FOLLOWS: behind its result the connection carries what control_publish() gets, and
 * answers no more requests; or a negative errno.
 */
struct control_method {
	const char *name;
	int (*run)(void *opaque, json_t *params, json_t *result, struct control_error *error);
};

/*
 * Listens at @path and serves until control_stop(). -EADDRINUSE where a live process listens
 * there, -ENAMETOOLONG where the path does not fit a socket address (107 bytes), or another errno.
 */
int control_start(struct machine *machine, const char *path, struct control **ret_control);
int control_start_with(const char *path, const struct control_method *methods, void *opaque,
		       struct control **ret_control);
/* Closes all clients, removes the socket, joins the thread. NULL is fine. */
void control_stop(struct control *control);

/*
 * Sends @line (JSON and a newline) to every client that follows. Any thread, at once. A client that
 * has CONTROL_EVENTS_MAX unread gets a last line that says so, and is closed.
 */
void control_publish(struct control *control, const char *line);

/*
 * Answers one request line (its newline taken off), for the server and the fuzzer: the answer
 * with its newline, g_free(). Any bytes are taken; never NULL. *ret_follows tells that the method
 * succeeded, and that the client follows from now on.
 */
char *control_answer(const struct control_method *methods, void *opaque, const char *line,
		     size_t len, bool *ret_follows);

/* What a machine answers to; for tests. */
extern const struct control_method control_machine_methods[];

#endif
