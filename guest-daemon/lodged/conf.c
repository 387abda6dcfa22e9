// SPDX-License-Identifier: GPL-2.0-or-later
// tools.conf: a key file that is read again when it changes.
#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "guest-daemon/lodged/lodged.h"
#include "protocol/lib/log.h"

#define CONF_MAX (256u << 10)

struct conf {
	char *path, *name; /* name: the last part of path */
	GKeyFile *keys;
	void (*changed)(void *opaque);
	void *opaque;
	int inotify;
	bool folder_missing; /* then the one above it is watched */
	guint source;
};

/* The old configuration stays where the new one cannot be read: a typo must not open or close. */
static bool read_again(struct conf *conf)
{
	g_autoptr(GKeyFile) keys = g_key_file_new();
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;
	gsize len = 0;

	if (!g_file_get_contents(conf->path, &text, &len, &error)) {
		if (!g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
			log_warn("%s: %s", conf->path, error->message);
			return false;
		}
	} else if (len > CONF_MAX) {
		log_warn("%s: longer than %u bytes", conf->path, CONF_MAX);
		return false;
	} else if (len && !g_key_file_load_from_data(keys, text, len, G_KEY_FILE_NONE, &error)) {
		log_warn("%s: %s", conf->path, error->message);
		return false;
	}
	if (conf->keys)
		g_key_file_unref(conf->keys);
	conf->keys = g_steal_pointer(&keys);
	return true;
}

/* Whether one of the events is about the file itself: editors make others beside it. */
static bool concerns_file(const struct conf *conf, const char *events, size_t len)
{
	const struct inotify_event *event;
	bool found = false;

	for (size_t at = 0; at + sizeof(*event) <= len; at += sizeof(*event) + event->len) {
		event = (const struct inotify_event *)(events + at);
		if (event->mask & IN_Q_OVERFLOW || (event->len && !strcmp(event->name, conf->name)))
			found = true;
	}
	return found;
}

void conf_reload(struct conf *conf)
{
	if (read_again(conf)) {
		log_info("%s was read again", conf->path);
		conf->changed(conf->opaque);
	}
}

static bool watch_folder(struct conf *conf);

static gboolean on_change(gint fd, GIOCondition condition, gpointer opaque)
{
	struct conf *conf = opaque;
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t got = read(fd, events, sizeof(events));

	(void)condition;
	/* Its folder may have come now, and the file before the folder was watched. */
	if (got > 0 && ((conf->folder_missing && watch_folder(conf)) ||
			concerns_file(conf, events, (size_t)got)))
		conf_reload(conf);
	return G_SOURCE_CONTINUE;
}

/* The folder, since editors replace the file. */
static bool watch_folder(struct conf *conf)
{
	g_autofree char *folder = g_path_get_dirname(conf->path);

	conf->folder_missing =
		inotify_add_watch(conf->inotify, folder,
				  IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE) < 0;
	return !conf->folder_missing;
}

static void watch(struct conf *conf)
{
	g_autofree char *folder = g_path_get_dirname(conf->path);
	g_autofree char *parent = g_path_get_dirname(folder);

	conf->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (conf->inotify < 0)
		return;
	if (!watch_folder(conf) &&
	    inotify_add_watch(conf->inotify, parent, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0) {
		log_debug("%s is not watched: %s", folder, strerror(errno));
		return;
	}
	conf->source = g_unix_fd_add(conf->inotify, G_IO_IN, on_change, conf);
}

int conf_start(const char *path, void (*changed)(void *opaque), void *opaque,
	       struct conf **ret_conf)
{
	struct conf *conf = g_new0(struct conf, 1);

	conf->path = g_strdup(path);
	conf->name = g_path_get_basename(path);
	conf->changed = changed;
	conf->opaque = opaque;
	if (!read_again(conf))
		conf->keys = g_key_file_new();
	watch(conf);
	*ret_conf = conf;
	return 0;
}

void conf_stop(struct conf *conf)
{
	if (!conf)
		return;
	if (conf->source)
		g_source_remove(conf->source);
	if (conf->inotify >= 0)
		close(conf->inotify);
	g_key_file_unref(conf->keys);
	g_free(conf->path);
	g_free(conf->name);
	g_free(conf);
}

GKeyFile *conf_keys(const struct conf *conf)
{
	return conf->keys;
}

bool conf_bool(const struct conf *conf, const char *group, const char *key, bool fallback)
{
	g_autoptr(GError) error = NULL;
	gboolean value = g_key_file_get_boolean(conf->keys, group, key, &error);

	return error ? fallback : value;
}

int conf_int(const struct conf *conf, const char *group, const char *key, int fallback)
{
	g_autoptr(GError) error = NULL;
	gint value = g_key_file_get_integer(conf->keys, group, key, &error);

	return error ? fallback : value;
}

char *conf_string(const struct conf *conf, const char *group, const char *key)
{
	return g_key_file_get_string(conf->keys, group, key, NULL);
}
