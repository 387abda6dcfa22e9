// SPDX-License-Identifier: GPL-2.0-or-later
// Plug-in exec: runs programs for the host, as the owner of the guest allows.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/plugins.h"
#include "guest-daemon/lodged/task.h"

#define ARGS_MAX 4096

static int check_exec(const struct task_spec *spec, char **ret_about)
{
	GString *about = g_string_new(NULL);
	const char *arg;
	size_t at = 0, args = 0;

	while ((arg = fields_next(spec->fields, spec->len, "arg", &at)) && args++ < ARGS_MAX) {
		/* As a shell would need it, so that the log is not ambiguous. */
		g_autofree char *quoted = g_shell_quote(arg);

		g_string_append_printf(about, "%s%s", args > 1 ? " " : "", quoted);
	}
	if (!args || args > ARGS_MAX) {
		g_string_free(about, TRUE);
		*ret_about = g_strdup(args ? "too many arguments" : "no program is named");
		return EINVAL;
	}
	*ret_about = g_string_free(about, FALSE);
	return 0;
}

static int go_to_folder(const struct task_spec *spec, const struct account *account,
			struct report *report)
{
	const char *folder = fields_get(spec->fields, spec->len, "dir");

	if (folder && chdir(folder))
		return report_set(report, errno, "%s: %s", folder, strerror(errno));
	/* A home that is not there is no reason to fail, as for a login. */
	if (!folder && chdir(account->home) && chdir("/"))
		return report_set(report, errno, "/: %s", strerror(errno));
	return 0;
}

static int run_exec(const struct task_spec *spec, int report_fd, struct report *report)
{
	struct account account;
	GPtrArray *args = g_ptr_array_new();
	const char *arg;
	char **env;
	size_t at = 0;
	int error;

	(void)report_fd;
	if (account_become(spec, &account, report) || go_to_folder(spec, &account, report))
		return -1;
	while ((arg = fields_next(spec->fields, spec->len, "arg", &at)))
		g_ptr_array_add(args, (char *)arg);
	g_ptr_array_add(args, NULL);
	env = account_environment(&account, spec);
	/* execvpe() looks in this process's PATH. */
	(void)setenv("PATH", g_environ_getenv(env, "PATH"), 1);
	execvpe(args->pdata[0], (char **)args->pdata, env);
	error = errno;
	if (error == ENOENT && !strchr(args->pdata[0], '/'))
		return report_set(report, REPORT_NO_PROGRAM, "%s: not found",
				  (char *)args->pdata[0]);
	return report_set(report, error == ENOENT ? REPORT_NO_PROGRAM : REPORT_CANNOT_START,
			  "%s: %s", (char *)args->pdata[0], strerror(error));
}

static bool ok_exec(struct fields_builder *result, int status, int signal, uint64_t bytes)
{
	(void)bytes;
	fields_addf(result, "status", "%d", status);
	if (signal)
		fields_addf(result, "signal", "%d", signal);
	return true;
}

static const struct task_type exec_type = {
	.word = "exec",
	.check = check_exec,
	.run = run_exec,
	.ok = ok_exec,
};

static void run_word_exec(void *state, struct door_command *command, const char *args, size_t len)
{
	task_start(state, &exec_type, command, args, len);
}

/* The task that the fields mean, or NULL when @command has its answer. */
static struct task *find(void *state, struct door_command *command, const char *args, size_t len)
{
	const char *job = fields_check(args, len) ? NULL : fields_get(args, len, "job");
	struct task *task = job ? task_by_job(state, job) : NULL;

	if (!job)
		door_command_error(command, "22 malformed fields");
	else if (!task)
		door_command_error(command, "3 no such job");
	return task;
}

static void tell(struct door_command *command, int error)
{
	g_autofree char *text = NULL;

	if (!error) {
		door_command_ok(command);
		return;
	}
	text = g_strdup_printf("%d %s", -error, strerror(-error));
	door_command_error(command, text);
}

static void run_signal(void *state, struct door_command *command, const char *args, size_t len)
{
	struct task *task = find(state, command, args, len);
	uint64_t number = 0;

	if (task && fields_number(args, len, "signal", 64, &number))
		tell(command, -EINVAL);
	else if (task)
		tell(command, task_signal(task, (int)number));
}

static void run_resize(void *state, struct door_command *command, const char *args, size_t len)
{
	struct task *task = find(state, command, args, len);
	const char *size = task ? fields_get(args, len, "tty") : NULL;
	uint16_t cols, rows;

	if (!task)
		return;
	if (!size || task_parse_size(size, &cols, &rows))
		tell(command, -EINVAL);
	else
		tell(command, task_resize(task, cols, rows));
}

static const struct plugin_word words[] = {
	{ "lodge.exec", run_word_exec },
	{ "lodge.exec-signal", run_signal },
	{ "lodge.exec-resize", run_resize },
	{ NULL, NULL },
};

const struct plugin exec_plugin = {
	.name = "exec",
	.help = "runs programs for the host, as allow-exec allows",
	.words = words,
	.start = tasks_start,
	.lost = tasks_lost,
	.stop = tasks_stop,
};
