// SPDX-License-Identifier: GPL-2.0-or-later
// The tools' events, as lines of JSON on the control socket.
#include "host-vmm/control/tools.h"

#include <errno.h>
#include <string.h>

#include "host-vmm/backdoor/tools.h"
#include "host-vmm/loop.h"
#include "host-vmm/machine.h"

struct control_feed {
	struct machine *machine;
	struct control *control;
	struct tools_sink *sink;
};

/* Fields whose values are numbers; "ok" is a truth, and all else is text. */
static const char *const numbers[] = { "seconds", "count" };

static void set_value(JsonObject *object, const char *key, const char *value)
{
	g_autofree char *text = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
		if (strcmp(numbers[i], key) != 0)
			continue;
		json_object_set_int_member(object, key, g_ascii_strtoll(value, NULL, 10));
		return;
	}
	if (!strcmp(key, "ok")) {
		json_object_set_boolean_member(object, key, !strcmp(value, "yes"));
		return;
	}
	/* A guest chose some of them. */
	text = g_utf8_make_valid(value, -1);
	json_object_set_string_member(object, key, text);
}

char *control_event_line(const struct tools_event *event)
{
	g_autoptr(JsonObject) object = json_object_new();
	g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
	g_autofree char *text = NULL;
	const char *at = event->fields, *end = at + event->fields_len;

	json_object_set_string_member(object, "event", event->name);
	json_object_set_int_member(object, "time_ms", (gint64)event->time_ms);
	for (; at < end; at += strlen(at) + 1) {
		const char *equals = strchr(at, '=');
		g_autofree char *key = equals ? g_strndup(at, (gsize)(equals - at)) : NULL;

		if (key)
			set_value(object, key, equals + 1);
	}
	json_node_set_object(node, object);
	text = json_to_string(node, FALSE);
	return g_strconcat(text, "\n", NULL);
}

static void publish(void *opaque, const struct tools_event *event)
{
	struct control_feed *feed = opaque;
	g_autofree char *line = control_event_line(event);

	control_publish(feed->control, line);
}

int control_feed_start(struct machine *machine, struct control *control,
		       struct control_feed **ret_feed)
{
	struct control_feed *feed;
	int ret;

	*ret_feed = NULL;
	if (!machine->backdoor)
		return 0;
	feed = g_new0(struct control_feed, 1);
	*feed = (struct control_feed){ machine, control, NULL };
	ret = tools_events_add(machine->backdoor, publish, feed, &feed->sink);
	if (ret)
		g_free(feed);
	else
		*ret_feed = feed;
	return ret;
}

static void remove_sink(void *opaque)
{
	struct control_feed *feed = opaque;

	tools_events_remove(feed->sink);
}

void control_feed_stop(struct control_feed *feed)
{
	if (!feed)
		return;
	loop_call(feed->machine->loop, remove_sink, feed);
	g_free(feed);
}
