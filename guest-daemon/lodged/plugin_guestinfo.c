// SPDX-License-Identifier: GPL-2.0-or-later
// Plug-in guestinfo: the variables that VMware's users look for: versions, and the address if
// asked.
#include <arpa/inet.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#include "guest-daemon/lodged/facts.h"
#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/plugins.h"

#define PAUSE_MS 300

struct guestinfo {
	struct lodged *lodged;
	bool broadcast; /* broadcastIP */
	int events;
	guint source, pause;
	char *told; /* the address that the host has */
};

static int start(struct lodged *lodged, void **ret_state)
{
	struct guestinfo *info = g_new0(struct guestinfo, 1);

	info->lodged = lodged;
	info->events = -1;
	*ret_state = info;
	return 0;
}

static bool is_default(const struct net *net, int index)
{
	for (size_t i = 0; i < net->n_routes; i++) {
		if (net->routes[i].index == index && !net->routes[i].prefix)
			return true;
	}
	return false;
}

/* IPv4 of the nic with a default route; else of any; else IPv6 alike. g_free(), or NULL. */
static char *best_address(void)
{
	g_autofree struct net *net = g_new(struct net, 1);
	char text[INET6_ADDRSTRLEN], best[INET6_ADDRSTRLEN] = "";
	int best_worth = 0;

	if (net_read(net))
		return NULL;
	for (size_t i = 0; i < net->n_addresses; i++) {
		const struct net_address *address = &net->addresses[i];
		int worth = 1 + (address->family == AF_INET ? 1 : 0) +
			    (is_default(net, address->index) ? 2 : 0);

		if (!net_nic(net, address->index) || !strcmp(address->origin, "link") ||
		    worth <= best_worth ||
		    !inet_ntop(address->family, address->bytes, text, sizeof(text)))
			continue;
		best_worth = worth;
		memcpy(best, text, sizeof(best));
	}
	return best_worth ? g_strdup(best) : NULL;
}

static void tell_address(struct guestinfo *info)
{
	g_autofree char *address = best_address();

	if (!address || !g_strcmp0(address, info->told) || !lodged_door(info->lodged))
		return;
	lodged_ask(info->lodged, NULL, NULL, "info-set guestinfo.ip %s", address);
	g_free(info->told);
	info->told = g_steal_pointer(&address);
}

static gboolean on_pause(gpointer opaque)
{
	struct guestinfo *info = opaque;

	info->pause = 0;
	tell_address(info);
	return G_SOURCE_REMOVE;
}

static gboolean on_event(gint fd, GIOCondition condition, gpointer opaque)
{
	struct guestinfo *info = opaque;
	char dropped[8192];

	(void)condition;
	while (read(fd, dropped, sizeof(dropped)) > 0)
		;
	if (!info->pause)
		info->pause = g_timeout_add(PAUSE_MS, on_pause, info);
	return G_SOURCE_CONTINUE;
}

static void silence(struct guestinfo *info)
{
	if (info->pause)
		g_source_remove(info->pause);
	if (info->source)
		g_source_remove(info->source);
	if (info->events >= 0)
		close(info->events);
	info->pause = info->source = 0;
	info->events = -1;
}

static bool option(void *opaque, const char *name, const char *value)
{
	struct guestinfo *info = opaque;

	(void)name;
	if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
		return false;
	info->broadcast = *value == '1';
	if (!info->broadcast) {
		silence(info);
		return true;
	}
	if (info->events < 0)
		info->events = net_events();
	if (info->events >= 0 && !info->source)
		info->source = g_unix_fd_add(info->events, G_IO_IN, on_event, info);
	tell_address(info);
	return true;
}

static void reset(void *opaque)
{
	struct guestinfo *info = opaque;

	g_clear_pointer(&info->told, g_free);
	lodged_ask(info->lodged, NULL, NULL,
		   "info-set guestinfo.vmtools.description lodged " LODGE_VERSION);
	lodged_ask(info->lodged, NULL, NULL,
		   "info-set guestinfo.vmtools.versionString " LODGE_VERSION);
	if (info->broadcast)
		tell_address(info);
}

static void stop(void *opaque)
{
	struct guestinfo *info = opaque;

	silence(info);
	g_free(info->told);
	g_free(info);
}

static const char *const options[] = { "broadcastIP", NULL };

const struct plugin guestinfo_plugin = {
	.name = "guestinfo",
	.help = "variables that VMware's users look for",
	.options = options,
	.start = start,
	.option = option,
	.reset = reset,
	.stop = stop,
};
