// SPDX-License-Identifier: GPL-2.0-or-later
// tools.conf: a key file that is read again when it changes.
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>

#include "guest-daemon/lodged/lodged.h"
#include "protocol/lib/log.h"

#define CONF_MAX (256u << 10)

struct conf {
	char *path, *name; /* name: the last part of path */
	GKeyFile *keys;
	GHashTable *said; /* complaints about values of these keys */
	void (*changed)(void *opaque);
	void *opaque;
	struct watch *watch; /* NULL: cannot be watched */
	bool folder_missing; /* then the one above it is watched */
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
	g_hash_table_remove_all(conf->said);
	return true;
}

void conf_reload(struct conf *conf)
{
	if (read_again(conf)) {
		log_info("%s was read again", conf->path);
		conf->changed(conf->opaque);
	}
}

/* The folder, since editors replace the file. */
static int watch_own_folder(struct conf *conf)
{
	g_autofree char *folder = g_path_get_dirname(conf->path);
	int ret = watch_folder(conf->watch, folder,
			       IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE);

	conf->folder_missing = ret < 0;
	return ret;
}

static bool concerns_file(void *opaque, const char *name)
{
	struct conf *conf = opaque;

	/* Its folder may have come now, and the file before the folder was watched. */
	return (conf->folder_missing && !watch_own_folder(conf)) || !strcmp(name, conf->name);
}

static void file_changed(void *opaque)
{
	conf_reload(opaque);
}

static void start_watch(struct conf *conf)
{
	g_autofree char *folder = g_path_get_dirname(conf->path);
	g_autofree char *parent = g_path_get_dirname(folder);
	int ret = watch_new(concerns_file, file_changed, conf, &conf->watch);

	if (!ret && watch_own_folder(conf))
		ret = watch_folder(conf->watch, parent, IN_CREATE | IN_MOVED_TO);
	if (ret)
		log_debug("%s is not watched: %s", folder, strerror(-ret));
}

int conf_start(const char *path, void (*changed)(void *opaque), void *opaque,
	       struct conf **ret_conf)
{
	struct conf *conf = g_new0(struct conf, 1);

	conf->path = g_strdup(path);
	conf->name = g_path_get_basename(path);
	conf->changed = changed;
	conf->opaque = opaque;
	conf->said = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	if (!read_again(conf))
		conf->keys = g_key_file_new();
	start_watch(conf);
	*ret_conf = conf;
	return 0;
}

void conf_stop(struct conf *conf)
{
	if (!conf)
		return;
	watch_free(conf->watch);
	g_key_file_unref(conf->keys);
	g_hash_table_unref(conf->said);
	g_free(conf->path);
	g_free(conf->name);
	g_free(conf);
}

GKeyFile *conf_keys(const struct conf *conf)
{
	return conf->keys;
}

const char *conf_path(const struct conf *conf)
{
	return conf->path;
}

/* What is not @wanted is asked for again and again, and complained of once for each state of the
 * file. */
static void complain(const struct conf *conf, const char *group, const char *key,
		     const char *wanted)
{
	g_autofree char *value = conf_string(conf, group, key);
	g_autofree char *text =
		g_strdup_printf("%s.%s is %s, not '%.64s'", group, key, wanted, value ? value : "");

	log_make_printable(text, strlen(text));
	if (g_hash_table_contains(conf->said, text))
		return;
	log_warn("%s: %s", conf->path, text);
	g_hash_table_add(conf->said, g_steal_pointer(&text));
}

bool conf_bool(const struct conf *conf, const char *group, const char *key, bool fallback)
{
	static const char *const words[][2] = { { "false", "true" },
						{ "no", "yes" },
						{ "0", "1" } };
	g_autofree char *value = conf_string(conf, group, key);

	for (size_t i = 0; value && i < G_N_ELEMENTS(words); i++) {
		if (!strcmp(value, words[i][0]) || !strcmp(value, words[i][1]))
			return !strcmp(value, words[i][1]);
	}
	if (value)
		complain(conf, group, key, "yes or no");
	return fallback;
}

int conf_int(const struct conf *conf, const char *group, const char *key, int fallback)
{
	g_autoptr(GError) error = NULL;
	gint value = g_key_file_get_integer(conf->keys, group, key, &error);

	if (g_error_matches(error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_INVALID_VALUE))
		complain(conf, group, key, "a number");
	return error ? fallback : value;
}

char *conf_string(const struct conf *conf, const char *group, const char *key)
{
	return g_key_file_get_string(conf->keys, group, key, NULL);
}
