// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guest operations: a command of the host, the child that carries it out, and what moves between.
 *
 * Theory of operation. task_start() checks fields and policy, logs, opens the streams and forks.
 * The child is the leader of a session of its own, so that its process group can be signalled as
 * one. Three ends must come before the RESULT: the child's, and that of both output streams. A
 * background process of the child may keep a pipe open: GRACE_MS after the child's end the streams
 * end with what is in the pipes then. Whatever ends early (time limit, a host that goes, lodged
 * itself) is a signal to the group and SIGKILL KILL_MS later. When lodged dies the kernel kills the
 * child.
 */
#include "guest-daemon/lodged/task.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <lodge/rpc.h>

#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/task_child.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

#define GRACE_MS    200
#define KILL_MS	    5000
#define TIMEOUT_MAX (366 * 24 * 3600) /* seconds */
#define ABOUT_MAX   200 /* bytes of the log line */
#define STATUS_LATE 124 /* guest-ops.md, "timeout" */

enum { IN, OUT, ERR, PUMPS };
static const char *const stream_names[PUMPS] = { "stdin", "stdout", "stderr" };

struct task {
	struct tasks *tasks;
	const struct task_type *type;
	struct door_command *command; /* NULL: answered, or nobody left to answer */
	char *job;
	pid_t pid; /* 0: ended */
	int wait_status;
	int report_fd;
	int terminal; /* the master's side; -1 */
	struct pump pumps[PUMPS];
	guint timeout, killer, grace;
	bool late; /* the time limit passed */
	bool gone; /* the host went away */
	uint64_t bytes;
};

struct tasks {
	struct lodged *lodged;
	GList *list;
	struct log_ratelimit limit;
};

int tasks_start(struct lodged *lodged, void **ret_state)
{
	struct tasks *tasks = g_new0(struct tasks, 1);

	tasks->lodged = lodged;
	*ret_state = tasks;
	return 0;
}

static void unset(guint *source)
{
	if (*source)
		g_source_remove(*source);
	*source = 0;
}

static void task_free(struct task *task)
{
	task->tasks->list = g_list_remove(task->tasks->list, task);
	unset(&task->timeout);
	unset(&task->killer);
	unset(&task->grace);
	for (int i = 0; i < PUMPS; i++)
		pump_stop(&task->pumps[i], "the program has ended");
	fd_close(&task->report_fd);
	fd_close(&task->terminal);
	g_free(task->job);
	g_free(task);
}

static void answer_error(struct door_command *command, int number, const char *text)
{
	g_autofree char *reason = g_strdup_printf("%d %s", number, text);

	door_command_error(command, reason);
}

/* ---- ends ---- */

static void signal_group(const struct task *task, int number)
{
	pid_t foreground = task->terminal >= 0 ? tcgetpgrp(task->terminal) : 0;

	if (!task->pid)
		return;
	/* Before the child has made its session the group is not there yet. */
	if (kill(-task->pid, number))
		(void)kill(task->pid, number);
	if (foreground > 0 && foreground != task->pid)
		(void)kill(-foreground, number);
}

static gboolean on_killer(gpointer opaque)
{
	struct task *task = opaque;

	task->killer = 0;
	signal_group(task, SIGKILL);
	return G_SOURCE_REMOVE;
}

static void end_early(struct task *task, int number)
{
	signal_group(task, number);
	if (!task->killer)
		task->killer = g_timeout_add(KILL_MS, on_killer, task);
}

static gboolean on_timeout(gpointer opaque)
{
	struct task *task = opaque;

	task->timeout = 0;
	task->late = true;
	end_early(task, SIGTERM);
	return G_SOURCE_REMOVE;
}

static bool take_report(const struct task *task, struct report *ret_report)
{
	ssize_t got = read(task->report_fd, ret_report, sizeof(*ret_report));

	ret_report->text[sizeof(ret_report->text) - 1] = '\0';
	return got == sizeof(*ret_report) && ret_report->error > 0;
}

static void answer(struct task *task)
{
	struct fields_builder result = FIELDS_BUILDER(1024);
	int signal = WIFSIGNALED(task->wait_status) ? WTERMSIG(task->wait_status) : 0;
	int status = signal ? 128 + signal : WEXITSTATUS(task->wait_status);
	struct door_command *command = task->command;
	struct report report;

	task->command = NULL;
	for (int i = 0; i < PUMPS; i++)
		task->bytes += task->pumps[i].bytes;
	fields_raw(&result, "OK ");
	if (!take_report(task, &report)) {
		bool good = task->type->ok(&result, task->late ? STATUS_LATE : status, signal,
					   task->bytes);

		report = (struct report){ good ? 0 : EIO, "the work was not finished" };
	}
	/* Half a file must not look like a whole one. */
	pump_release(&task->pumps[OUT], report.error ? report.text : NULL);
	if (report.error)
		answer_error(command, report.error, report.text);
	else
		door_command_result(command, result.bytes, result.len);
	fields_free(&result);
}

static void finish_if_over(struct task *task)
{
	if (task->pid || !pump_is_over(&task->pumps[OUT]) || !pump_is_over(&task->pumps[ERR]))
		return;
	if (task->command)
		answer(task);
	task_free(task);
}

static gboolean on_grace(gpointer opaque)
{
	struct task *task = opaque;

	task->grace = 0;
	/* Two of them, and the first may end the task. */
	task->grace = g_idle_add(on_grace, task);
	for (int i = OUT; i <= ERR; i++) {
		if (!pump_is_over(&task->pumps[i]) && task->pumps[i].left < 0) {
			pump_finish(&task->pumps[i]);
			return G_SOURCE_REMOVE;
		}
	}
	unset(&task->grace);
	return G_SOURCE_REMOVE;
}

static void on_child(void *opaque, pid_t pid, int wait_status)
{
	struct task *task = opaque;

	/* Those of the group that let the first signal pass. */
	if (task->gone || task->late)
		(void)kill(-pid, SIGKILL);
	task->pid = 0;
	task->wait_status = wait_status;
	unset(&task->timeout);
	unset(&task->killer);
	if (!pump_is_over(&task->pumps[OUT]) || !pump_is_over(&task->pumps[ERR]))
		task->grace = g_timeout_add(GRACE_MS, on_grace, task);
	finish_if_over(task);
}

/* Whether nothing of the host's is left that this task could serve. */
static bool host_has_left(const struct task *task, const struct pump *pump)
{
	if (task->type->transfer || pump == &task->pumps[IN])
		return true;
	return !task->pumps[OUT].stream && !task->pumps[ERR].stream;
}

static void on_pump(void *opaque, struct pump *pump)
{
	struct task *task = opaque;

	if (pump->reset) {
		if (task->pid && !task->gone && host_has_left(task, pump)) {
			task->gone = true;
			end_early(task, SIGHUP);
		}
		/* The signal first: a transfer must not take this for the end of its input. */
		if (pump->fd >= 0 && !pump->keep_fd)
			fd_close(&pump->fd);
	}
	finish_if_over(task);
}

void tasks_lost(void *state)
{
	const struct tasks *tasks = state;
	GList *copy = g_list_copy(tasks->list);

	/* Their streams are lost at the same time, and then reset. */
	for (GList *at = copy; at; at = at->next) {
		struct task *task = at->data;

		task->gone = true;
		end_early(task, SIGHUP);
	}
	g_list_free(copy);
}

void tasks_stop(void *state)
{
	struct tasks *tasks = state;

	while (tasks->list) {
		struct task *task = tasks->list->data;

		if (task->command)
			answer_error(task->command, REPORT_NOT_ALLOWED, "lodged ends");
		signal_group(task, SIGKILL);
		/* Not waited for: see children_stop(). */
		if (task->pid)
			children_forget(tasks->lodged->children, task->pid);
		task_free(task);
	}
	g_free(tasks);
}

/* ---- starts ---- */

int task_parse_size(const char *text, uint16_t *ret_cols, uint16_t *ret_rows)
{
	unsigned int cols, rows;
	char rest;

	if (strspn(text, "0123456789x") != strlen(text) ||
	    sscanf(text, "%5ux%5u%c", &cols, &rows, &rest) != 2 || !cols || !rows ||
	    cols > UINT16_MAX || rows > UINT16_MAX)
		return -EINVAL;
	*ret_cols = (uint16_t)cols;
	*ret_rows = (uint16_t)rows;
	return 0;
}

/* What is common to all words: 0, or an errno and its text. */
static int check_common(struct task_spec *spec, uint64_t numbers[PUMPS], uint64_t *ret_timeout,
			const char **ret_text)
{
	const char *size;
	int ret = fields_check(spec->fields, spec->len);

	*ret_text = "malformed fields";
	for (int i = 0; i < PUMPS && !ret; i++) {
		numbers[i] = 0;
		ret = fields_number(spec->fields, spec->len, stream_names[i], UINT32_MAX,
				    &numbers[i]);
		if (ret == -ENOENT)
			ret = 0;
		else if (!ret && !numbers[i])
			ret = -EINVAL;
	}
	*ret_timeout = 0;
	if (!ret)
		ret = fields_number(spec->fields, spec->len, "timeout", TIMEOUT_MAX, ret_timeout);
	if (ret == -ENOENT)
		ret = 0;
	if (ret)
		return EINVAL;
	size = fields_get(spec->fields, spec->len, "tty");
	spec->tty = size != NULL;
	*ret_text = "malformed tty";
	return size && task_parse_size(size, &spec->cols, &spec->rows) ? EINVAL : 0;
}

static int open_pumps(struct task *task, const uint64_t numbers[PUMPS])
{
	struct door *door = door_command_door(task->command);
	int ret = 0;

	for (int i = 0; i < PUMPS && !ret; i++) {
		/* On a terminal stderr goes the way of stdout. */
		if (numbers[i] && !(i == ERR && task->pumps[IN].keep_fd))
			ret = pump_open(&task->pumps[i], door, (uint32_t)numbers[i]);
	}
	return ret;
}

static void launch(struct task *task, const struct task_spec *spec, uint64_t timeout)
{
	struct task_fds fds;
	int ours[PUMPS], ret;

	for (int i = 0; i < PUMPS; i++)
		fds.wanted[i] = task->pumps[i].stream != NULL;
	ret = task_fork(task->type, spec, &fds, ours, &task->report_fd, &task->pid);
	if (ret) {
		answer_error(task->command, -ret, "cannot make a process");
		task->command = NULL;
		task_free(task);
		return;
	}
	children_watch(task->tasks->lodged->children, task->pid, on_child, task);
	if (spec->tty)
		task->terminal = fcntl(ours[IN], F_DUPFD_CLOEXEC, 0);
	if (timeout)
		task->timeout = g_timeout_add_seconds((guint)timeout, on_timeout, task);
	for (int i = 0; i < PUMPS; i++) {
		if (ours[i] >= 0)
			pump_start(&task->pumps[i], ours[i]);
	}
}

static void refuse(struct tasks *tasks, const struct task_type *type, struct door_command *command,
		   int number, const char *text)
{
	log_ratelimited(&tasks->limit, LOG_LEVEL_WARN, "%s by the host refused: %s", type->word,
			text);
	answer_error(command, number, text);
}

void task_start(struct tasks *tasks, const struct task_type *type, struct door_command *command,
		const char *fields, size_t len)
{
	struct task_spec spec = { .fields = fields, .len = len, .helpers = tasks->lodged->helpers };
	g_autofree char *about = NULL;
	uint64_t numbers[PUMPS] = { 0 }, timeout = 0;
	struct task *task;
	const char *why;
	int error = check_common(&spec, numbers, &timeout, &why);

	if (!error && policy_check(tasks->lodged, &spec, &why))
		error = REPORT_NOT_ALLOWED;
	if (!error) {
		error = type->check(&spec, &about);
		why = about;
	}
	if (!error && !door_has_streams(door_command_door(command))) {
		error = REPORT_NOT_ALLOWED;
		why = "the door to this guest carries no streams";
	}
	if (error) {
		refuse(tasks, type, command, error, why);
		g_free(spec.user);
		return;
	}
	log_info("%s by the host as %s: %.*s", type->word, spec.user, ABOUT_MAX, about);
	task = g_new0(struct task, 1);
	task->tasks = tasks;
	task->type = type;
	task->command = command;
	task->job = g_strdup(fields_get(fields, len, "job"));
	task->report_fd = task->terminal = -1;
	for (int i = 0; i < PUMPS; i++)
		pump_init(&task->pumps[i], i == IN ? DOOR_STREAM_IN : DOOR_STREAM_OUT, on_pump,
			  task);
	task->pumps[IN].keep_fd = spec.tty;
	task->pumps[OUT].hold_end = type->transfer;
	tasks->list = g_list_prepend(tasks->list, task);
	if (open_pumps(task, numbers)) {
		refuse(tasks, type, command, EINVAL, "a stream's number will not do");
		task->command = NULL;
		task_free(task);
	} else {
		launch(task, &spec, timeout);
	}
	g_free(spec.user);
}

struct task *task_by_job(struct tasks *tasks, const char *job)
{
	for (GList *at = tasks->list; at; at = at->next) {
		struct task *task = at->data;

		if (task->pid && task->job && !strcmp(task->job, job))
			return task;
	}
	return NULL;
}

int task_signal(struct task *task, int number)
{
	if (number < 1 || number >= NSIG)
		return -EINVAL;
	signal_group(task, number);
	return 0;
}

int task_resize(struct task *task, uint16_t cols, uint16_t rows)
{
	struct winsize size = { .ws_col = cols, .ws_row = rows };

	if (task->terminal < 0)
		return -ENOTTY;
	return ioctl(task->terminal, TIOCSWINSZ, &size) ? -errno : 0;
}
