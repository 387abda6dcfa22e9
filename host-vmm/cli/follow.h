/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A running VM's events, as they happen: protocol/spec/control.md, "Events". */
#ifndef LODGE_VMM_CLI_FOLLOW_H
#define LODGE_VMM_CLI_FOLLOW_H

#include <json-glib/json-glib.h>

#define FOLLOW_LINE_MAX (256 << 10) /* bytes of an event */

struct follow;

/* Asks the monitor at @socket for its events. A negative errno and *ret_message else. */
int follow_open(const char *socket, struct follow **ret_follow, char **ret_message);
void follow_close(struct follow *follow);
/*
 * The next event, json_object_unref(). -ETIMEDOUT; -ECONNRESET: the VM has ended, or the monitor
 * dropped us; -EINTR; -EBADMSG. @timeout_ms -1: no limit. Two events that came together need no
 * second wait.
 */
int follow_next(struct follow *follow, int timeout_ms, JsonObject **ret_event);
/* The line of that event, without its newline. */
const char *follow_line(const struct follow *follow);

#endif
