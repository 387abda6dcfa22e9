/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's tools on the control socket: methods, their JSON, and events. */
#ifndef LODGE_VMM_CONTROL_TOOLS_H
#define LODGE_VMM_CONTROL_TOOLS_H

#include "host-vmm/control/control.h"

struct control_feed;
struct tools_facts;
struct tools_event;

/* Rows of the machine's table: protocol/spec/control.md. */
int control_tools(void *opaque, JsonObject *params, JsonObject *result,
		  struct control_error *error);
int control_var_get(void *opaque, JsonObject *params, JsonObject *result,
		    struct control_error *error);
int control_var_set(void *opaque, JsonObject *params, JsonObject *result,
		    struct control_error *error);
int control_var_list(void *opaque, JsonObject *params, JsonObject *result,
		     struct control_error *error);
int control_power(void *opaque, JsonObject *params, JsonObject *result,
		  struct control_error *error);
int control_events(void *opaque, JsonObject *params, JsonObject *result,
		   struct control_error *error);

/* What the guest told of itself; parts that it did not tell are left out. */
JsonObject *control_facts_json(const struct tools_facts *facts);
/* A line for control_publish(). g_free(). */
char *control_event_line(const struct tools_event *event);

/* The member @key, a string; NULL with the error said where it is missing. */
const char *control_need_string(JsonObject *params, const char *key, struct control_error *error);

/*
 * Publishes the tools' events on @control until control_feed_stop(), which is not called on the
 * machine's loop. NULL is fine there.
 */
int control_feed_start(struct machine *machine, struct control *control,
		       struct control_feed **ret_feed);
void control_feed_stop(struct control_feed *feed);

#endif
