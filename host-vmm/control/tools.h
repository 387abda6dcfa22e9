/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's tools on the control socket: methods, their JSON, and events. */
#ifndef LODGE_VMM_CONTROL_TOOLS_H
#define LODGE_VMM_CONTROL_TOOLS_H

#include "host-vmm/control/control.h"

struct control_feed;
struct tools_facts;
struct tools_event;

/* Rows of the machine's table: protocol/spec/control.md. */
int control_tools(void *opaque, json_t *params, json_t *result, struct control_error *error);
int control_var_get(void *opaque, json_t *params, json_t *result, struct control_error *error);
int control_var_set(void *opaque, json_t *params, json_t *result, struct control_error *error);
int control_var_list(void *opaque, json_t *params, json_t *result, struct control_error *error);
int control_power(void *opaque, json_t *params, json_t *result, struct control_error *error);
int control_events(void *opaque, json_t *params, json_t *result, struct control_error *error);

/* What the guest told of itself; parts that it did not tell are left out. */
json_t *control_facts_json(const struct tools_facts *facts);
/* A line for control_publish(). g_free(). */
char *control_event_line(const struct tools_event *event);

/*
 * Publishes the tools' events on @control until control_feed_stop(), which is not called on the
 * machine's loop. NULL is fine there.
 */
int control_feed_start(struct machine *machine, struct control *control,
		       struct control_feed **ret_feed);
void control_feed_stop(struct control_feed *feed);

#endif
