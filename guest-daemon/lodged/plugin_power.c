// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plug-in power: the host asks this guest to end, to start anew, to be ready for a suspend, or says
 * that it is back. Scripts of the guest's owner run before or after.
 *
 * As VMware's hosts know it: the command is answered at once; when the script has ended the guest
 * tells by tools.os.statechange.status whether it went well, and where it did it carries the
 * change out. A failed script holds a halt or reboot up; asked a second time the guest obeys
 * without it. Without scripts the status goes before the answer.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-daemon/lib/paths.h"
#include "guest-daemon/lodged/jobs.h"
#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/plugins.h"
#include "protocol/lib/log.h"

#define SCRIPT_SECONDS 60 /* unless tools.conf says: the host has a limit, too */

/* Ids are open-vm-tools' of tools.os.statechange.status. */
static const struct change {
	const char *word;
	int id;
	const char *option, *key, *file;
	const char *name; /* the script's argument, and the log's */
	enum shutdown what;
} changes[] = {
	{ "OS_Halt", 1, "toolScripts.beforePowerOff", "poweroff-script", "poweroff", "halt",
	  SHUTDOWN_HALT },
	{ "OS_Reboot", 2, "toolScripts.beforePowerOff", "poweroff-script", "poweroff", "reboot",
	  SHUTDOWN_REBOOT },
	{ "OS_PowerOn", 3, "toolScripts.afterPowerOn", "poweron-script", "poweron", "power-on",
	  SHUTDOWN_NONE },
	{ "OS_Resume", 4, "toolScripts.afterResume", "resume-script", "resume", "resume",
	  SHUTDOWN_NONE },
	{ "OS_Suspend", 5, "toolScripts.beforeSuspend", "suspend-script", "suspend", "suspend",
	  SHUTDOWN_NONE },
};

struct power {
	struct lodged *lodged;
	GHashTable *off; /* names of options that the host has set to 0 */
	const struct change *now; /* whose script runs */
	const struct change *failed; /* whose script failed last */
	pid_t pid;
	guint deadline;
};

static int start(struct lodged *lodged, void **ret_state)
{
	struct power *power = g_new0(struct power, 1);

	power->lodged = lodged;
	power->off = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	*ret_state = power;
	return 0;
}

/* It runs as root: nobody else may have a hand in it, or in what leads to it. */
static bool is_roots(const char *path)
{
	g_autofree char *at = g_strdup(path);
	struct stat st;

	if (stat(path, &st) || !S_ISREG(st.st_mode) || st.st_mode & (S_IWGRP | S_IWOTH))
		return false;
	for (;;) {
		char *slash = strrchr(at, '/');

		if (stat(*at ? at : "/", &st) || (st.st_uid != 0 && st.st_uid != geteuid()))
			return false;
		/* Of a folder like /tmp each user can take away its own alone. */
		if (st.st_mode & (S_IWGRP | S_IWOTH) && !(st.st_mode & S_ISVTX))
			return false;
		if (!slash)
			return true;
		*slash = '\0';
	}
}

/* The script of @change, g_free(); NULL where there is none to run. */
static char *script_of(const struct power *power, const struct change *change)
{
	g_autofree char *set = conf_string(power->lodged->conf, "powerops", change->key);
	g_autofree char *path = set ? g_strdup(set)
				    : g_build_filename(LODGE_SCRIPTS, change->file, NULL);
	char *real;

	if (g_hash_table_contains(power->off, change->option) || !*path)
		return NULL;
	/* Without links, which could lead elsewhere by the time it runs. */
	real = realpath(path, NULL);
	if (!real) {
		if (set)
			log_warn("script %s: %s", path, strerror(errno));
		return NULL;
	}
	if (!is_roots(real)) {
		log_warn("script %s is not run: it must be a file that root alone can write, in "
			 "folders that root alone can write",
			 path);
		g_clear_pointer(&real, g_free);
	}
	return real;
}

struct told {
	struct lodged *lodged;
	const struct change *change;
};

static void carry_out(void *opaque, const struct door_reply *reply)
{
	struct told *told = opaque;

	(void)reply;
	if (told->change->what != SHUTDOWN_NONE && told->lodged->end_system) {
		log_info("%s, as the host asked", told->change->name);
		told->lodged->end_system(told->lodged->children, told->change->what);
	}
	g_free(told);
}

/* The change itself comes behind the host's answer: the host must have heard of it. */
static void tell(struct power *power, const struct change *change, bool good)
{
	struct told *told;

	if (!good) {
		lodged_ask(power->lodged, NULL, NULL, "tools.os.statechange.status 0 %d",
			   change->id);
		return;
	}
	told = g_new(struct told, 1);
	*told = (struct told){ power->lodged, change };
	if (change->what != SHUTDOWN_NONE)
		lodged_ask(power->lodged, NULL, NULL, "log toolbox: Initiating %s.", change->name);
	lodged_ask(power->lodged, carry_out, told, "tools.os.statechange.status 1 %d", change->id);
}

static void script_ended(void *opaque, pid_t pid, int wait_status)
{
	struct power *power = opaque;
	const struct change *change = power->now;
	bool good = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;

	(void)pid;
	g_source_remove(power->deadline);
	power->now = NULL;
	power->pid = 0;
	power->failed = good ? NULL : change;
	if (!good)
		log_warn("the script for %s failed, status %d%s", change->name,
			 WIFEXITED(wait_status) ? WEXITSTATUS(wait_status)
						: 128 + WTERMSIG(wait_status),
			 change->what == SHUTDOWN_NONE ? "" : ": not done");
	tell(power, change, good);
}

static gboolean on_deadline(gpointer opaque)
{
	struct power *power = opaque;

	log_warn("the script for %s takes too long", power->now->name);
	(void)kill(-power->pid, SIGKILL);
	return G_SOURCE_CONTINUE;
}

static void __attribute__((noreturn)) run_script(const char *path, const char *name)
{
	child_begin();
	(void)setsid();
	child_close_from(STDERR_FILENO + 1, -1);
	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	if (chdir("/") == 0)
		execl(path, path, name, (char *)NULL);
	_exit(126);
}

static int start_script(struct power *power, const struct change *change, const char *path)
{
	int seconds = conf_int(power->lodged->conf, "powerops", "script-timeout", SCRIPT_SECONDS);
	pid_t pid = fork();

	if (pid == 0)
		run_script(path, change->name);
	if (pid < 0)
		return -errno;
	log_info("runs %s for %s", path, change->name);
	power->now = change;
	power->pid = pid;
	power->deadline = g_timeout_add_seconds((guint)CLAMP(seconds, 1, 3600), on_deadline, power);
	children_watch(power->lodged->children, pid, script_ended, power);
	return 0;
}

static void run(struct power *power, struct door_command *command, const struct change *change)
{
	g_autofree char *script = NULL;

	if (power->now) {
		door_command_error(command, "State change already in progress");
		return;
	}
	if (power->failed != change || change->what == SHUTDOWN_NONE)
		script = script_of(power, change);
	power->failed = NULL;
	if (!script || start_script(power, change, script))
		tell(power, change, true);
	door_command_ok(command);
}

#define WORD(name, index)                                                                         \
	static void name(void *state, struct door_command *command, const char *args, size_t len) \
	{                                                                                         \
		(void)args;                                                                       \
		(void)len;                                                                        \
		run(state, command, &changes[index]);                                             \
	}

WORD(run_halt, 0)
WORD(run_reboot, 1)
WORD(run_power_on, 2)
WORD(run_resume, 3)
WORD(run_suspend, 4)

static void capabilities(void *opaque)
{
	struct power *power = opaque;

	/* open-vm-tools sends the blank, and no value. */
	lodged_ask(power->lodged, NULL, NULL, "tools.capability.statechange ");
	lodged_ask(power->lodged, NULL, NULL, "tools.capability.softpowerop_retry ");
}

static bool option(void *opaque, const char *name, const char *value)
{
	struct power *power = opaque;

	if (!strcmp(value, "1"))
		g_hash_table_remove(power->off, name);
	else if (!strcmp(value, "0"))
		g_hash_table_add(power->off, g_strdup(name));
	else
		return false;
	return true;
}

static void stop(void *opaque)
{
	struct power *power = opaque;

	if (power->now) {
		children_forget(power->lodged->children, power->pid);
		(void)kill(-power->pid, SIGKILL);
		g_source_remove(power->deadline);
	}
	g_hash_table_destroy(power->off);
	g_free(power);
}

static const struct plugin_word words[] = {
	{ "OS_Halt", run_halt },     { "OS_Reboot", run_reboot },   { "OS_PowerOn", run_power_on },
	{ "OS_Resume", run_resume }, { "OS_Suspend", run_suspend }, { NULL, NULL },
};

static const char *const options[] = { "toolScripts.beforePowerOff", "toolScripts.afterPowerOn",
				       "toolScripts.afterResume", "toolScripts.beforeSuspend",
				       NULL };

const struct plugin power_plugin = {
	.name = "power",
	.help = "halt, reboot and suspend for the host, with scripts",
	.words = words,
	.options = options,
	.start = start,
	.capabilities = capabilities,
	.option = option,
	.stop = stop,
};
