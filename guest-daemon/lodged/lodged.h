/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lodged: the core, and what a plug-in is.
 *
 * One thread, one GLib main loop. The core keeps the door to the host open (link.c), reads the
 * configuration (conf.c), reaps children (children.c) and hands the host's commands to the plug-in
 * that serves their word (plugins.c has the table). A plug-in keeps all its state in what start()
 * returns, and never waits: what takes time is a child process or an event of the loop.
 */
#ifndef LODGE_GUEST_LODGED_H
#define LODGE_GUEST_LODGED_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "guest-daemon/lib/door.h"
#include "guest-daemon/lodged/shutdown.h"

struct children;
struct conf;
struct fields_builder;
struct link;
struct local;
struct lodged;
struct display_system;
struct timekeeping_clock;

/* How lodged ends where there is no host to serve: lodged.service takes it as a clean stop.
 * EX_UNAVAILABLE of sysexits.h. */
#define LODGED_EXIT_NO_HOST 69

struct plugin_word {
	const char *word;
	/* Answers @command, now or later. @args: @len bytes, NUL-terminated. */
	void (*run)(void *state, struct door_command *command, const char *args, size_t len);
};

/* Every callback but start may be NULL. */
struct plugin {
	const char *name;
	const char *help; /* one line, for `lodge-toolbox status` */
	const struct plugin_word *words; /* ends with a NULL word; NULL: none */
	const char *const *options; /* names of Set_Option, ends with NULL; NULL: none */

	/* 0 and the state that goes to all others; a failure ends lodged. */
	int (*start)(struct lodged *lodged, void **ret_state);
	/* The host said `reset`: it knows nothing of what was told before. */
	void (*reset)(void *state);
	/* The host said Capabilities_Register. */
	void (*capabilities)(void *state);
	/* Set_Option with one of the names above. False: no such value. */
	bool (*option)(void *state, const char *name, const char *value);
	/* tools.conf has changed. */
	void (*reconfigure)(void *state);
	/* The door was lost; commands and streams of it are gone. */
	void (*lost)(void *state);
	/* Adds what `lodge-toolbox` asks for, by lodged.status. */
	void (*status)(void *state, struct fields_builder *out);
	/* Frees @state. */
	void (*stop)(void *state);
};

extern const struct plugin *const plugins[];
extern const size_t n_plugins;

struct lodged {
	GMainLoop *loop;
	int exit_status;
	struct conf *conf;
	struct children *children;
	struct link *link;
	struct local *local;
	void **states; /* of plugins[], NULL before their start */
	const char *run_folder; /* /run/lodge */
	const char *helpers; /* where lodge-files is */
	void (*end_system)(struct children *children, enum shutdown what);
	const struct timekeeping_clock *clock; /* NULL: not to be set */
	const struct display_system *display; /* NULL: not to be touched */
};

struct lodged_options {
	int door; /* enum door_kind: the only one to use; or -1 */
	/* Of doors by kind, instead of their own; or NULL. The strings outlive lodged. */
	const char *paths[DOOR_DAEMON];
	const char *conf, *run_folder, *helpers;
	/* Ends this system, shutdown_start() but in tests; NULL: it is not ended. */
	void (*end_system)(struct children *children, enum shutdown what);
	/* How its clock is set, timekeeping_system but in tests; NULL: it is not set. */
	const struct timekeeping_clock *clock;
	/* Its display, display_system but in tests; NULL: there is none to follow. */
	const struct display_system *display;
};

/* @lodged is zeros. -ENODEV: no host is under this system. To be stopped, also when it failed. */
int lodged_start(struct lodged *lodged, const struct lodged_options *options);
void lodged_stop(struct lodged *lodged);

/* The door, ready; NULL while there is none. */
struct door *lodged_door(const struct lodged *lodged);
/* Asks the host, who may be away: then @fn gets -ENOTCONN at once. @fn may be NULL. */
void lodged_ask(struct lodged *lodged, door_reply_fn fn, void *opaque, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void lodged_ask_bytes(struct lodged *lodged, door_reply_fn fn, void *opaque, const void *message,
		      size_t len);
/*
 * Logs @why, of @topic, unless it is what was logged last: *said is the caller's memory of that,
 * NULL at first, g_free(). NULL, nothing to say, is remembered too.
 */
void lodged_log_once(char **said, const char *topic, const char *why);
/*
 * Sends @fields, which name their part of protocol/spec/facts.md, unless they are what the host
 * has: *told is the caller's memory of that, NULL at first and when the host has forgotten,
 * g_free(). Without a door, or over the I/O ports, where VMware's words have none for it, nothing
 * is sent.
 */
void lodged_tell_facts(struct lodged *lodged, char **told, const void *fields, size_t len,
		       door_reply_fn fn, void *opaque);
/* Ends the main loop. */
void lodged_quit(struct lodged *lodged, int exit_status);

/* ---- plugins.c ---- */

int plugins_start(struct lodged *lodged);
void plugins_stop(struct lodged *lodged);
void plugins_command(struct lodged *lodged, struct door_command *command, const char *word,
		     const char *args, size_t len);
void plugins_reset(struct lodged *lodged);
void plugins_capabilities(struct lodged *lodged);
/* False: no plug-in knows it, or its value. */
bool plugins_option(struct lodged *lodged, const char *name, const char *value);
void plugins_reconfigure(struct lodged *lodged);
void plugins_lost(struct lodged *lodged);
void plugins_status(struct lodged *lodged, struct fields_builder *out);

/* ---- link.c: the best door, found again whenever it is lost, left when a better one comes ---- */

/* @only: the one kind to use, or -1; @paths: by kind, as in struct lodged_options. */
int link_start(struct lodged *lodged, int only, const char *const paths[DOOR_DAEMON],
	       struct link **ret_link);
void link_stop(struct link *link);
struct door *link_door(const struct link *link);
/* Which doors were not taken, and why: lines "name: reason", g_free(). */
char *link_why(const struct link *link);

/* ---- children.c ---- */

typedef void (*child_fn)(void *opaque, pid_t pid, int wait_status);

/* Blocks SIGCHLD, and reaps every child, known or not. */
int children_start(struct children **ret_children);
/* Kills and reaps those that are left. */
void children_stop(struct children *children);
/* @fn when @pid ends, once. */
void children_watch(struct children *children, pid_t pid, child_fn fn, void *opaque);
/* It still runs and is reaped, but tells nobody. */
void children_forget(struct children *children, pid_t pid);

/* ---- conf.c: tools.conf(5) ---- */

/* Reads @path, which need not exist, and reads it again when it changes: then @changed runs. */
int conf_start(const char *path, void (*changed)(void *opaque), void *opaque,
	       struct conf **ret_conf);
void conf_stop(struct conf *conf);
/* Reads it again now. */
void conf_reload(struct conf *conf);
/* As it was given. */
const char *conf_path(const struct conf *conf);
/* Never NULL; until the next change. */
GKeyFile *conf_keys(const struct conf *conf);
/* Where there is no such key: @fallback. So where it has another value, which is logged once. */
bool conf_bool(const struct conf *conf, const char *group, const char *key, bool fallback);
int conf_int(const struct conf *conf, const char *group, const char *key, int fallback);
/* g_free(); NULL where there is none. */
char *conf_string(const struct conf *conf, const char *group, const char *key);

/* ---- watch.c: folders in which something may come or go ---- */

struct watch;

/* @changed runs once for some events of which at least one has a name that @concerns wants ("" is
 * an event of the folder itself), or when some were lost. -EMFILE and others of inotify_init1(2).
 */
int watch_new(bool (*concerns)(void *opaque, const char *name), void (*changed)(void *opaque),
	      void *opaque, struct watch **ret_watch);
/* @events: IN_... of inotify(7). -ENOENT, -ENOTDIR, -EACCES. */
int watch_folder(struct watch *watch, const char *folder, uint32_t events);
/* Of a file, events have no name. */
int watch_file(struct watch *watch, const char *path, uint32_t events);
void watch_free(struct watch *watch); /* NULL is fine */

/* ---- local.c: the socket for other programs of this guest ---- */

int local_start(struct lodged *lodged, struct local **ret_local);
void local_stop(struct local *local);

/* ---- notify.c ---- */

/* sd_notify(3): nothing happens without $NOTIFY_SOCKET. */
void notify(const char *state);

#endif
