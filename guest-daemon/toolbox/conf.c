// SPDX-License-Identifier: GPL-2.0-or-later
// config, logging, script: reading and changing tools.conf. lodged notices by itself.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-daemon/lib/paths.h"
#include "guest-daemon/toolbox/toolbox.h"
#include "protocol/lib/fd.h"

#define LEVEL_DEFAULT "info"

/* NULL, with a complaint, where the file is there and cannot be read. */
static GKeyFile *load(const struct toolbox *toolbox)
{
	GKeyFile *keys = g_key_file_new();
	g_autoptr(GError) error = NULL;

	if (!g_key_file_load_from_file(keys, toolbox->conf,
				       G_KEY_FILE_KEEP_COMMENTS | G_KEY_FILE_KEEP_TRANSLATIONS,
				       &error) &&
	    !g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
		(void)complain(toolbox, 0, "%s: %s", toolbox->conf, error->message);
		g_key_file_unref(keys);
		return NULL;
	}
	return keys;
}

static int store(const struct toolbox *toolbox, GKeyFile *keys)
{
	g_autofree char *text = NULL;
	g_autoptr(GError) error = NULL;
	gsize len;

	text = g_key_file_to_data(keys, &len, NULL);
	if (!g_file_set_contents(toolbox->conf, text, (gssize)len, &error))
		return complain(toolbox, EX_TEMPFAIL, "%s", error->message);
	/* The file that replaced it is for its writer alone, which is not what a configuration is.
	 */
	if (chmod(toolbox->conf, 0644))
		return complain(toolbox, EX_TEMPFAIL, "%s: %s", toolbox->conf, strerror(errno));
	return 0;
}

/* Of two that change it at once none must lose what the other did. */
static int lock(const struct toolbox *toolbox)
{
	g_autofree char *folder = g_path_get_dirname(toolbox->conf);
	int fd;

	(void)g_mkdir_with_parents(folder, 0755);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0 && flock(fd, LOCK_EX) && errno == EINTR)
		;
	return fd;
}

/* What would be another group or key when it is read. */
static bool is_name(const char *name)
{
	for (const char *at = name; *at; at++) {
		if (g_ascii_iscntrl(*at) || strchr("[]=", *at))
			return false;
	}
	return *name && !g_ascii_isspace(*name) && !g_ascii_isspace(name[strlen(name) - 1]);
}

int toolbox_change_conf(const struct toolbox *toolbox, const char *group, const char *key,
			const char *value)
{
	autofd held = lock(toolbox);
	g_autoptr(GKeyFile) keys = held < 0 ? NULL : load(toolbox);

	if (held < 0)
		return complain(toolbox, EX_TEMPFAIL, "%s: its folder: %s", toolbox->conf,
				strerror(errno));
	if (!keys)
		return EX_TEMPFAIL;
	if (!is_name(group) || !is_name(key))
		return complain(toolbox, EX_USAGE, "'%s', '%s': no names of a section and a key",
				group, key);
	if (value)
		g_key_file_set_string(keys, group, key, value);
	else
		(void)g_key_file_remove_key(keys, group, key, NULL);
	return store(toolbox, keys);
}

int verb_config(const struct toolbox *toolbox, int argc, char **argv)
{
	g_autoptr(GKeyFile) keys = NULL;
	g_autofree char *value = NULL;

	if (argc < 3)
		return misused(toolbox, "missing",
			       argc < 1	  ? "subcommand"
			       : argc < 2 ? "section"
					  : "key");
	if (!strcmp(argv[0], "set")) {
		if (argc < 4)
			return misused(toolbox, "missing", "value");
		return toolbox_change_conf(toolbox, argv[1], argv[2], argv[3]);
	}
	if (!strcmp(argv[0], "remove"))
		return toolbox_change_conf(toolbox, argv[1], argv[2], NULL);
	if (strcmp(argv[0], "get") != 0)
		return misused(toolbox, "unknown subcommand", argv[0]);
	keys = load(toolbox);
	if (!keys)
		return EX_TEMPFAIL;
	value = g_key_file_get_string(keys, argv[1], argv[2], NULL);
	if (value)
		printf("[%s] %s = %s\n", argv[1], argv[2], value);
	else
		printf("[%s] %s UNSET\n", argv[1], argv[2]);
	return 0;
}

/* VMware's services have a level each; lodged is one, and any name means it. */
int verb_logging(const struct toolbox *toolbox, int argc, char **argv)
{
	static const char *const levels[] = { "error", "warning", "info", "debug", NULL };
	g_autoptr(GKeyFile) keys = NULL;
	g_autofree char *value = NULL;
	const char *level;

	if (argc < 1 || strcmp(argv[0], "level") != 0)
		return misused(toolbox, argc < 1 ? "missing" : "unknown subcommand",
			       argc < 1 ? "subcommand" : argv[0]);
	if (argc < 3)
		return misused(toolbox, "missing", argc < 2 ? "get or set" : "service");
	if (!strcmp(argv[1], "get")) {
		keys = load(toolbox);
		if (!keys)
			return EX_TEMPFAIL;
		value = g_key_file_get_string(keys, "logging", "level", NULL);
		printf("%s.level = %s\n", argv[2], value ? value : LEVEL_DEFAULT);
		return 0;
	}
	if (strcmp(argv[1], "set") != 0)
		return misused(toolbox, "unknown subcommand", argv[1]);
	if (argc < 4)
		return misused(toolbox, "missing", "level");
	level = argv[3];
	/* Two of VMware's that have no counterpart here. */
	if (!strcmp(level, "critical"))
		level = "error";
	else if (!strcmp(level, "message"))
		level = "info";
	if (!g_strv_contains(levels, level))
		return misused(toolbox, "unknown level", level);
	return toolbox_change_conf(toolbox, "logging", "level", level);
}

static const struct {
	const char *name, *key, *file;
} scripts[] = {
	{ "power", "poweron-script", "poweron" },
	{ "shutdown", "poweroff-script", "poweroff" },
	{ "suspend", "suspend-script", "suspend" },
	{ "resume", "resume-script", "resume" },
};

static int show_script(const struct toolbox *toolbox, size_t which, const char *fallback)
{
	g_autoptr(GKeyFile) keys = load(toolbox);
	g_autofree char *value = NULL;

	if (!keys)
		return EX_TEMPFAIL;
	value = g_key_file_get_string(keys, "powerops", scripts[which].key, NULL);
	printf("%s\n", value ? value : fallback);
	return 0;
}

static int script(const struct toolbox *toolbox, size_t which, int argc, char **argv)
{
	g_autofree char *fallback = g_build_filename(LODGE_SCRIPTS, scripts[which].file, NULL);
	const char *value;
	int ret;

	if (!strcmp(argv[0], "default")) {
		printf("%s\n", fallback);
		return 0;
	}
	if (!strcmp(argv[0], "current"))
		return show_script(toolbox, which, fallback);
	if (!strcmp(argv[0], "enable")) {
		value = NULL;
	} else if (!strcmp(argv[0], "disable")) {
		value = "";
	} else if (strcmp(argv[0], "set") != 0) {
		return misused(toolbox, "unknown subcommand", argv[0]);
	} else if (argc < 2) {
		return misused(toolbox, "missing", "path");
	} else if (argv[1][0] != '/' || access(argv[1], F_OK)) {
		return complain(toolbox, EX_OSFILE, "%s is no file with a full path", argv[1]);
	} else {
		value = argv[1];
	}
	ret = toolbox_change_conf(toolbox, "powerops", scripts[which].key, value);
	if (!ret && !toolbox->quiet)
		printf("%s\n", value && !*value ? "Disabled" : "Enabled");
	return ret;
}

int verb_script(const struct toolbox *toolbox, int argc, char **argv)
{
	if (argc < 2)
		return misused(toolbox, "missing", argc < 1 ? "script" : "subcommand");
	if (geteuid() != 0 && strcmp(argv[1], "default") != 0 && strcmp(argv[1], "current") != 0)
		return complain(toolbox, EX_NOPERM, "scripts are changed by root");
	for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
		if (!strcmp(scripts[i].name, argv[0]))
			return script(toolbox, i, argc - 1, argv + 1);
	}
	return misused(toolbox, "unknown script", argv[0]);
}
