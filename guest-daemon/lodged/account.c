// SPDX-License-Identifier: GPL-2.0-or-later
// A child of lodged becomes a user of the guest, as a login would: ids, groups, environment.
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "guest-daemon/lodged/task.h"

/* login.defs(5)'s, where a system has none of its own. */
#define PATH_ROOT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PATH_USER "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"

static int become(const struct account *account)
{
	bool same = geteuid() == account->uid && getuid() == account->uid &&
		    getegid() == account->gid && getgid() == account->gid;

	/* Only root can; as the user himself there is nothing to do, and a container's root may
	 * have lost what it takes. */
	if (geteuid() != 0 && geteuid() == account->uid)
		return 0;
	if (initgroups(account->name, account->gid))
		return same && errno == EPERM ? 0 : -errno;
	if (setgid(account->gid) || setuid(account->uid))
		return -errno;
	/* Not the kernel's way out of a half-done change. */
	if (account->uid != 0 && (setuid(0) == 0 || geteuid() != account->uid))
		return -EPERM;
	return 0;
}

int account_become(const struct task_spec *spec, struct account *ret_account, struct report *report)
{
	const struct passwd *entry = getpwnam(spec->user);
	pid_t parent = getppid();
	int ret;

	if (!entry)
		return report_set(report, REPORT_NOT_ALLOWED, "this guest has no user %s",
				  spec->user);
	if (entry->pw_uid == 0 && !spec->allow_root)
		return report_set(report, REPORT_NOT_ALLOWED,
				  "this guest's tools.conf does not allow root");
	*ret_account = (struct account){
		.uid = entry->pw_uid,
		.gid = entry->pw_gid,
		.name = g_strdup(entry->pw_name),
		.home = g_strdup(entry->pw_dir && *entry->pw_dir ? entry->pw_dir : "/"),
		.shell =
			g_strdup(entry->pw_shell && *entry->pw_shell ? entry->pw_shell : "/bin/sh"),
	};
	/* As getty(8) gives a terminal to whom it lets in. */
	if (spec->tty && geteuid() == 0 && fchown(STDIN_FILENO, entry->pw_uid, (gid_t)-1))
		return report_set(report, errno, "the terminal: %s", strerror(errno));
	ret = become(ret_account);
	/* The change took away that the kernel kills us when lodged dies. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (ret)
		return report_set(report, -ret, "cannot become %s: %s", spec->user, strerror(-ret));
	return 0;
}

/* KEY's value in a file of KEY=VALUE lines, g_free(), or NULL. */
static char *value_of(const char *file, const char *key)
{
	g_autofree char *text = NULL, *prefix = g_strconcat(key, "=", NULL);
	g_auto(GStrv) lines = NULL;

	if (!g_file_get_contents(file, &text, NULL, NULL))
		return NULL;
	lines = g_strsplit(text, "\n", 1000);
	for (char **line = lines; *line; line++) {
		if (g_str_has_prefix(g_strstrip(*line), prefix))
			return g_shell_unquote(*line + strlen(prefix), NULL);
	}
	return NULL;
}

static char *first_value(const char *const *files, const char *key)
{
	char *value = NULL;

	for (; *files && !value; files++)
		value = value_of(*files, key);
	return value;
}

static char **set_default(char **env, const char *key, const char *value)
{
	return value ? g_environ_setenv(env, key, value, TRUE) : env;
}

char **account_environment(const struct account *account, const struct task_spec *spec)
{
	static const char *const path_files[] = { "/etc/environment", NULL };
	static const char *const lang_files[] = { "/etc/locale.conf", "/etc/default/locale",
						  "/etc/environment", NULL };
	g_autofree char *path = first_value(path_files, "PATH");
	g_autofree char *lang = first_value(lang_files, "LANG");
	g_autofree char *runtime = g_strdup_printf("/run/user/%u", account->uid);
	const char *term = fields_get(spec->fields, spec->len, "term");
	char **env = g_new0(char *, 1);
	const char *entry;
	size_t at = 0;

	env = set_default(env, "HOME", account->home);
	env = set_default(env, "USER", account->name);
	env = set_default(env, "LOGNAME", account->name);
	env = set_default(env, "SHELL", account->shell);
	env = set_default(env, "PATH", path ? path : account->uid ? PATH_USER : PATH_ROOT);
	env = set_default(env, "LANG", lang);
	if (access(runtime, X_OK) == 0)
		env = set_default(env, "XDG_RUNTIME_DIR", runtime);
	if (spec->tty)
		env = set_default(env, "TERM", term && *term ? term : "dumb");
	while ((entry = fields_next(spec->fields, spec->len, "env", &at))) {
		g_auto(GStrv) pair = g_strsplit(entry, "=", 2);

		if (pair[0] && *pair[0] && pair[1])
			env = set_default(env, pair[0], pair[1]);
	}
	return env;
}
