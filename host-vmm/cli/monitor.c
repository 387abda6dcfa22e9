// SPDX-License-Identifier: GPL-2.0-or-later
// Starts the monitor as a process and follows it to its end.
#include "host-vmm/cli/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <json-glib/json-glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "host-vmm/cli/paths.h"
#include "host-vmm/cli/tail.h"
#include "protocol/lib/fd.h"

#define FIRST_FREE_FD 64 /* above every number that a monitor_fd asks for */
#define NOTIFY_FD     63
#define ERROR_MARK    ": error: " /* as protocol/lib/log.c writes it */

/* In the child, between fork and exec: nothing but system calls. */
static void place_fds(const struct monitor_spec *spec, int log, int null, int notify)
{
	int high[16];
	size_t n = spec->n_fds < G_N_ELEMENTS(high) ? spec->n_fds : G_N_ELEMENTS(high);

	/* First out of each other's way, then into place; dup2 clears close-on-exec. */
	for (size_t i = 0; i < n; i++)
		high[i] = fcntl(spec->fds[i].ours, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	log = fcntl(log, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	null = fcntl(null, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	notify = fcntl(notify, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	for (size_t i = 0; i < n; i++)
		dup2(high[i], spec->fds[i].theirs);
	dup2(log, STDERR_FILENO);
	dup2(notify, NOTIFY_FD);
}

static void __attribute__((noreturn))
exec_monitor(const struct monitor_spec *spec, const char *program, int log, int null, int notify,
	     pid_t parent)
{
	const char *const argv[] = { "lodge-vmm",   "--vm",	   spec->dir, "--runtime",
				     spec->runtime, "--notify-fd", "63",      NULL };
	sigset_t none;

	place_fds(spec, log, null, notify);
	if (spec->detach)
		setsid();
	else if (prctl(PR_SET_PDEATHSIG, SIGTERM) || getppid() != parent)
		_exit(EXIT_FAILURE);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execv(program, (char *const *)argv);
	dprintf(STDERR_FILENO, "lodge: error: %s cannot be run\n", program);
	_exit(EXIT_FAILURE);
}

int monitor_start(const struct monitor_spec *spec, struct monitor *ret_monitor, char **ret_message)
{
	g_autofree char *program = paths_helper("lodge-vmm");
	pid_t parent = getpid();
	autofd log = -1, null = -1, notify = -1;
	int ends[2];
	pid_t pid;

	*ret_monitor = (struct monitor){ .notify = -1, .guest_status = -1 };
	if (!program) {
		*ret_message = g_strdup("lodge-vmm is not installed beside lodge; install it, or "
					"set LODGE_LIBEXEC to its folder");
		return -ENOENT;
	}
	log = open(spec->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (log < 0) {
		int error = errno;

		*ret_message = g_strdup_printf("%s: %s; the folder must be writable", spec->log,
					       g_strerror(error));
		return -error;
	}
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || pipe2(ends, O_CLOEXEC)) {
		*ret_message = g_strdup_printf("cannot start a process: %s", g_strerror(errno));
		return -errno;
	}
	notify = ends[1];
	ret_monitor->notify = ends[0];
	pid = fork();
	if (pid < 0) {
		*ret_message = g_strdup_printf("cannot start a process: %s", g_strerror(errno));
		fd_close(&ret_monitor->notify);
		return -EAGAIN;
	}
	if (!pid)
		exec_monitor(spec, program, log, null, notify, parent);
	ret_monitor->pid = pid;
	return 0;
}

bool monitor_event(struct monitor *monitor, const char *line, size_t len)
{
	static const char *const reasons[] = { [MONITOR_POWEROFF] = "poweroff",
					       [MONITOR_RESET] = "reset",
					       [MONITOR_KILL] = "kill",
					       [MONITOR_CRASH] = "crash" };
	g_autoptr(JsonParser) parser = json_parser_new();
	JsonObject *object;
	const char *event, *reason;
	JsonNode *root;

	if (!json_parser_load_from_data(parser, line, (gssize)len, NULL))
		return false;
	root = json_parser_get_root(parser);
	if (!root || !JSON_NODE_HOLDS_OBJECT(root))
		return false;
	object = json_node_get_object(root);
	event = json_object_get_string_member_with_default(object, "event", "");
	if (!strcmp(event, "started"))
		monitor->started = true;
	if (strcmp(event, "exit"))
		return true;
	reason = json_object_get_string_member_with_default(object, "reason", "");
	monitor->reason = MONITOR_FAILED;
	for (int i = MONITOR_POWEROFF; i <= MONITOR_CRASH; i++) {
		if (!strcmp(reason, reasons[i]))
			monitor->reason = i;
	}
	monitor->guest_status = (int)json_object_get_int_member_with_default(object, "status", -1);
	if (monitor->guest_status > 255)
		monitor->guest_status = -1;
	return true;
}

static void take_lines(struct monitor *monitor)
{
	char *newline;

	while ((newline = memchr(monitor->line, '\n', monitor->used))) {
		size_t len = (size_t)(newline - monitor->line);

		/* What a newer monitor says beside is not ours to judge. */
		(void)monitor_event(monitor, monitor->line, len);
		monitor->used -= len + 1;
		memmove(monitor->line, newline + 1, monitor->used);
	}
	if (monitor->used == sizeof(monitor->line))
		monitor->used = 0;
}

static void reap(struct monitor *monitor)
{
	while (waitpid(monitor->pid, &monitor->exit_status, 0) < 0 && errno == EINTR)
		;
	monitor->pid = 0;
	if (monitor->reason == MONITOR_RUNS)
		monitor->reason = MONITOR_FAILED;
}

void monitor_read(struct monitor *monitor)
{
	ssize_t got = read(monitor->notify, monitor->line + monitor->used,
			   sizeof(monitor->line) - monitor->used);

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got > 0) {
		monitor->used += (size_t)got;
		take_lines(monitor);
		return;
	}
	fd_close(&monitor->notify);
	reap(monitor);
}

void monitor_finish(struct monitor *monitor)
{
	fd_close(&monitor->notify);
	if (!monitor->pid)
		return;
	kill(monitor->pid, SIGKILL);
	reap(monitor);
}

char *monitor_killed(const struct monitor *monitor)
{
	int status = monitor->exit_status;

	if (monitor->pid || !WIFSIGNALED(status))
		return NULL;
	return g_strdup_printf("lodge-vmm was ended by signal %d (%s)%s", WTERMSIG(status),
			       sigdescr_np(WTERMSIG(status)),
			       WTERMSIG(status) == SIGKILL
				       ? ": by somebody, or by the kernel where memory has run "
					 "out, the host's or that of a limit (memory.max)"
				       : "");
}

char *monitor_first_error(const char *log)
{
	return tail_find_first(log, ERROR_MARK);
}

char *monitor_last_error(const char *log)
{
	return tail_find(log, ERROR_MARK);
}
