// SPDX-License-Identifier: GPL-2.0-or-later
// The core of lodged: its parts started in order and stopped backward, and the way to ask the host.
#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "guest-daemon/lodged/lodged.h"
#include "protocol/lib/log.h"

struct door *lodged_door(const struct lodged *lodged)
{
	return lodged->link ? link_door(lodged->link) : NULL;
}

void lodged_ask_bytes(struct lodged *lodged, door_reply_fn fn, void *opaque, const void *message,
		      size_t len)
{
	struct door *door = lodged_door(lodged);
	struct door_reply none = { .error = -ENOTCONN, .payload = "" };

	if (door)
		none.error = door_request(door, message, len, fn, opaque);
	if (none.error && fn)
		fn(opaque, &none);
}

void lodged_ask(struct lodged *lodged, door_reply_fn fn, void *opaque, const char *format, ...)
{
	g_autofree char *message = NULL;
	va_list args;

	va_start(args, format);
	message = g_strdup_vprintf(format, args);
	va_end(args);
	lodged_ask_bytes(lodged, fn, opaque, message, strlen(message));
}

void lodged_tell_facts(struct lodged *lodged, char **told, const void *fields, size_t len,
		       door_reply_fn fn, void *opaque)
{
	static const char word[] = "lodge.facts ";
	g_autofree char *sum = g_compute_checksum_for_data(G_CHECKSUM_MD5, fields, len);
	struct door *door = lodged_door(lodged);
	g_autofree char *message = NULL;

	if (!door || door_kind(door) == DOOR_IOPORTS || !g_strcmp0(sum, *told))
		return;
	g_free(*told);
	*told = g_steal_pointer(&sum);
	message = g_malloc(sizeof(word) - 1 + len);
	memcpy(message, word, sizeof(word) - 1);
	memcpy(message + sizeof(word) - 1, fields, len);
	lodged_ask_bytes(lodged, fn, opaque, message, sizeof(word) - 1 + len);
}

void lodged_log_once(char **said, const char *topic, const char *why)
{
	if (!g_strcmp0(why, *said))
		return;
	g_free(*said);
	*said = g_strdup(why);
	if (why)
		log_info("%s: %s", topic, why);
}

void lodged_quit(struct lodged *lodged, int exit_status)
{
	lodged->exit_status = exit_status;
	g_main_loop_quit(lodged->loop);
}

static void conf_changed(void *opaque)
{
	struct lodged *lodged = opaque;
	g_autofree char *level = conf_string(lodged->conf, "logging", "level");

	if (level && !log_set_level_name(level))
		log_warn("tools.conf: logging.level is error, warning, info or debug, not '%s'",
			 level);
	plugins_reconfigure(lodged);
}

int lodged_start(struct lodged *lodged, const struct lodged_options *options)
{
	int ret;

	/* Programs that the host runs stop reading when they like. */
	(void)signal(SIGPIPE, SIG_IGN);
	lodged->loop = g_main_loop_new(NULL, FALSE);
	lodged->run_folder = options->run_folder;
	lodged->helpers = options->helpers;
	lodged->end_system = options->end_system;
	lodged->clock = options->clock;
	lodged->display = options->display;
	ret = children_start(&lodged->children);
	if (!ret)
		ret = conf_start(options->conf, conf_changed, lodged, &lodged->conf);
	if (!ret)
		ret = plugins_start(lodged);
	if (!ret)
		ret = local_start(lodged, &lodged->local);
	if (!ret)
		ret = link_start(lodged, options->door, options->paths, &lodged->link);
	return ret;
}

void lodged_stop(struct lodged *lodged)
{
	struct link *link = lodged->link;

	lodged->link = NULL;
	link_stop(link);
	local_stop(lodged->local);
	plugins_stop(lodged);
	conf_stop(lodged->conf);
	children_stop(lodged->children);
	g_main_loop_unref(lodged->loop);
}
