// SPDX-License-Identifier: GPL-2.0-or-later
// Starts the command: its session, terminal, user, folder and environment.
#include "guest-daemon/init/init.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lodge/run_conf.h>

#define STATUS_NOT_EXECUTABLE 126 /* as POSIX's shell reports it */
#define STATUS_NOT_FOUND      127

static void __attribute__((noreturn)) give_up(int status, const char *what, const char *name)
{
	dprintf(STDERR_FILENO, LODGE_RUN_ERROR "%s %s: %s\n", what, name, strerror(errno));
	_exit(status);
}

static void become(const struct run_conf *conf, struct identity *identity)
{
	const char *user = conf->user ? conf->user : "0";
	int ret = user_find(user, identity);

	if (ret) {
		errno = -ret;
		give_up(STATUS_NOT_EXECUTABLE, "the guest has no user", user);
	}
	if (setgroups(identity->n_groups, identity->groups) || setgid(identity->gid) ||
	    setuid(identity->uid))
		give_up(STATUS_NOT_EXECUTABLE, "cannot become user", user);
}

static void take_streams(const struct streams *streams, const struct run_conf *conf)
{
	struct winsize size = { 0 };

	setsid();
	if (streams->terminal) {
		ioctl(streams->in, TIOCSCTTY, 0);
		if (conf->terminal &&
		    sscanf(conf->terminal, "%hux%hu", &size.ws_row, &size.ws_col) == 2 &&
		    size.ws_row && size.ws_col)
			ioctl(streams->in, TIOCSWINSZ, &size);
	}
	dup2(streams->in, STDIN_FILENO);
	dup2(streams->out, STDOUT_FILENO);
	dup2(streams->err, STDERR_FILENO);
}

static void reset_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* execvp(3) says EACCES where a folder of PATH may not be searched, even if nothing was there. */
static bool is_somewhere(const char *command)
{
	const char *dir = getenv("PATH");
	char path[4096];

	if (strchr(command, '/') || !dir)
		return true;
	while (*dir) {
		size_t len = strcspn(dir, ":");

		if (snprintf(path, sizeof(path), "%.*s/%s", (int)len, dir, command) <
			    (int)sizeof(path) &&
		    !access(path, F_OK))
			return true;
		dir += len + (dir[len] == ':');
	}
	return false;
}

static void __attribute__((noreturn))
run(const struct run_conf *conf, const struct streams *streams)
{
	struct identity identity;
	int error;

	take_streams(streams, conf);
	if (streams->terminal && conf->user)
		(void)fchmod(STDIN_FILENO, 0666);
	become(conf, &identity);
	clearenv();
	for (size_t i = 0; i < conf->env.n; i++)
		putenv(conf->env.list[i]);
	if (!getenv("HOME"))
		setenv("HOME", identity.home[0] ? identity.home : "/", 1);
	if ((!conf->cwd || chdir(conf->cwd)) && (!identity.home[0] || chdir(identity.home)) &&
	    chdir("/"))
		give_up(STATUS_NOT_EXECUTABLE, "cannot enter", "/");
	reset_signals();
	execvp(conf->args.list[0], conf->args.list);
	error = errno;
	if (error == EACCES && !is_somewhere(conf->args.list[0]))
		error = errno = ENOENT;
	give_up(error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE, "cannot run",
		conf->args.list[0]);
}

pid_t child_start(const struct run_conf *conf, const struct streams *streams)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid)
		run(conf, streams);
	return pid;
}
