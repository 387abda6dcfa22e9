// SPDX-License-Identifier: GPL-2.0-or-later
// The tools' events, as lines of JSON on the control socket.
#include "host-vmm/control/tools.h"

#include <glib.h>

#include "host-vmm/backdoor/tools.h"
#include "host-vmm/loop.h"
#include "host-vmm/machine.h"

struct control_feed {
	struct machine *machine;
	struct control *control;
	struct tools_sink *sink;
};

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
