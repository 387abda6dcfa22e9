// SPDX-License-Identifier: GPL-2.0-or-later
// Opens and closes what a running VM is spoken to by: control.sock with its events, tools.sock,
// display.sock.
#include "host-vmm/control/sockets.h"

#include <errno.h>
#include <glib.h>

#include "host-vmm/backdoor/relay.h"
#include "host-vmm/conf/claim.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/control/control.h"
#include "host-vmm/control/tools.h"
#include "host-vmm/display/server.h"
#include "host-vmm/machine.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

struct sockets {
	struct control *control;
	struct control_feed *feed;
	struct relay *relay;
	struct display_server *display;
	int claim; /* of the run-time folder */
};

static int explain(int ret, const char *path)
{
	if (ret == -EADDRINUSE)
		log_error("this VM is running already, or just being deleted (%s is in use)", path);
	else if (ret < 0)
		log_error("the socket '%s' cannot be made: %s; %s", path, g_strerror(-ret),
			  ret == -EMFILE || ret == -EAGAIN
				  ? "raise the limits of open files and threads ('ulimit -n', '-u')"
				  : "give another --runtime");
	return ret;
}

static int start_all(struct sockets *sockets, struct machine *machine, const char *runtime)
{
	g_autofree char *control = g_strdup_printf("%s/control.sock", runtime);
	g_autofree char *tools = g_strdup_printf("%s/tools.sock", runtime);
	g_autofree char *display = g_strdup_printf("%s/display.sock", runtime);
	int ret = claim_folder(runtime, &sockets->claim);

	if (ret)
		return explain(ret, runtime);
	ret = control_start(machine, control, &sockets->control);
	if (!ret)
		ret = control_feed_start(machine, sockets->control, &sockets->feed);
	if (ret)
		return explain(ret, control);
	if (machine->backdoor)
		ret = relay_start(machine->backdoor, machine->loop, tools, &sockets->relay);
	if (ret || !machine->display)
		return explain(ret, tools);
	ret = display_server_start(machine->display, machine->input, machine->config->name, display,
				   &sockets->display);
	return explain(ret, display);
}

int sockets_start(struct machine *machine, const char *runtime, struct sockets **ret_sockets)
{
	struct sockets *sockets = g_new0(struct sockets, 1);
	int ret;

	sockets->claim = -1;
	ret = start_all(sockets, machine, runtime);
	if (ret)
		sockets_stop(sockets, NULL);
	else
		*ret_sockets = sockets;
	return ret;
}

void sockets_stop(struct sockets *sockets, const char *why)
{
	g_autofree char *line = NULL;

	if (!sockets)
		return;
	display_server_stop(sockets->display);
	relay_stop(sockets->relay);
	control_feed_stop(sockets->feed);
	if (sockets->control && why) {
		line = g_strdup_printf("{\"event\":\"off\",\"time_ms\":%" G_GINT64_FORMAT
				       ",\"reason\":\"%s\"}\n",
				       g_get_real_time() / 1000, why);
		control_publish(sockets->control, line);
	}
	control_stop(sockets->control);
	fd_close(&sockets->claim);
	g_free(sockets);
}
