// SPDX-License-Identifier: GPL-2.0-or-later
// Plug-in files: files and folders between the host and this guest, by lodge-files.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/plugins.h"
#include "guest-daemon/lodged/task.h"

#define HELPER	  "lodge-files"
#define REPORT_FD 3 /* where the helper expects it */

static int check(const struct task_spec *spec, const char *stream, char **ret_about)
{
	const char *path = fields_get(spec->fields, spec->len, "path");
	const char *form = fields_get(spec->fields, spec->len, "form");

	if (!path || path[0] != '/')
		*ret_about = g_strdup("no absolute path is named");
	else if (form && strcmp(form, "file") != 0 && strcmp(form, "tar") != 0)
		*ret_about = g_strdup("the form is neither file nor tar");
	else if (!fields_get(spec->fields, spec->len, stream) || spec->tty)
		*ret_about = g_strdup("no stream is named");
	else
		*ret_about = g_shell_quote(path);
	return *ret_about[0] == '\'' ? 0 : EINVAL;
}

static int check_get(const struct task_spec *spec, char **ret_about)
{
	return check(spec, "stdout", ret_about);
}

static int check_put(const struct task_spec *spec, char **ret_about)
{
	return check(spec, "stdin", ret_about);
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static int run(const struct task_spec *spec, int report_fd, struct report *report,
	       const char *direction)
{
	g_autofree char *helper = g_build_filename(spec->helpers, HELPER, NULL);
	const char *form = fields_get(spec->fields, spec->len, "form");
	struct account account;

	if (account_become(spec, &account, report))
		return -1;
	if (chdir("/") || dup2(report_fd, REPORT_FD) < 0)
		return report_set(report, errno, "cannot start %s: %s", HELPER, strerror(errno));
	execl(helper, HELPER, direction, form ? form : "file",
	      fields_get(spec->fields, spec->len, "path"),
	      or_empty(fields_get(spec->fields, spec->len, "mode")),
	      or_empty(fields_get(spec->fields, spec->len, "mtime")),
	      or_empty(fields_get(spec->fields, spec->len, "owners")), (char *)NULL);
	return report_set(report, REPORT_NOT_ALLOWED, "%s of this guest's tools: %s", HELPER,
			  strerror(errno));
}

static int run_get(const struct task_spec *spec, int report_fd, struct report *report)
{
	return run(spec, report_fd, report, "get");
}

static int run_put(const struct task_spec *spec, int report_fd, struct report *report)
{
	return run(spec, report_fd, report, "put");
}

static bool ok(struct fields_builder *result, int status, int signal, uint64_t bytes)
{
	(void)signal;
	fields_addf(result, "bytes", "%llu", (unsigned long long)bytes);
	return status == 0;
}

static const struct task_type get_type = {
	.word = "file-get",
	.check = check_get,
	.run = run_get,
	.transfer = true,
	.ok = ok,
};

static const struct task_type put_type = {
	.word = "file-put",
	.check = check_put,
	.run = run_put,
	.transfer = true,
	.ok = ok,
};

static void run_file_get(void *state, struct door_command *command, const char *args, size_t len)
{
	task_start(state, &get_type, command, args, len);
}

static void run_file_put(void *state, struct door_command *command, const char *args, size_t len)
{
	task_start(state, &put_type, command, args, len);
}

static const struct plugin_word words[] = {
	{ "lodge.file-get", run_file_get },
	{ "lodge.file-put", run_file_put },
	{ NULL, NULL },
};

const struct plugin files_plugin = {
	.name = "files",
	.help = "copies files for the host, as allow-exec allows",
	.words = words,
	.start = tasks_start,
	.lost = tasks_lost,
	.stop = tasks_stop,
};
