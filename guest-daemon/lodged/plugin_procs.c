// SPDX-License-Identifier: GPL-2.0-or-later
// Plug-in procs: lists and ends processes for the host, as the user that the policy allows.
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/plugins.h"
#include "guest-daemon/lodged/task.h"
#include "protocol/lib/fd.h"

#define COMMAND_MAX 4096 /* bytes that are told of a command line */

/* Since Linux 5.3, the same on all machines. */
#define CALL_PIDFD_SEND_SIGNAL 424
#define CALL_PIDFD_OPEN	       434

/* A process, of proc(5)'s stat. */
struct process {
	char name[64], state;
	int ppid;
	unsigned long long cpu, start; /* clock ticks; start since boot */
	long long rss; /* pages */
};

static char *read_proc(const char *pid, const char *file, gsize *ret_len)
{
	g_autofree char *path = g_strdup_printf("/proc/%s/%s", pid, file);
	char *text = NULL;

	return g_file_get_contents(path, &text, ret_len, NULL) ? text : NULL;
}

static bool read_process(const char *pid, struct process *ret_process)
{
	g_autofree char *text = read_proc(pid, "stat", NULL);
	char *open = text ? strchr(text, '(') : NULL, *close = text ? strrchr(text, ')') : NULL;
	unsigned long long user, system;

	/* The name is in brackets, and may have brackets in it. */
	if (!open || !close || close < open)
		return false;
	snprintf(ret_process->name, sizeof(ret_process->name), "%.*s", (int)(close - open - 1),
		 open + 1);
	if (sscanf(close + 1,
		   " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d "
		   "%llu %*u %lld",
		   &ret_process->state, &ret_process->ppid, &user, &system, &ret_process->start,
		   &ret_process->rss) != 6)
		return false;
	ret_process->cpu = user + system;
	return true;
}

/* When this system booted, seconds since 1970, as the kernel has it. */
static long long boot_time(void)
{
	g_autofree char *text = NULL;
	const char *found;

	if (!g_file_get_contents("/proc/stat", &text, NULL, NULL))
		return 0;
	found = strstr(text, "\nbtime ");
	return found ? atoll(found + 7) : 0;
}

static long long started(const struct process *process, long long boot)
{
	return boot + (long long)(process->start / (unsigned long long)sysconf(_SC_CLK_TCK));
}

/* JSON text: what is no UTF-8 goes byte by byte, as Latin-1 would have it. */
static void append_string(GString *json, const char *text)
{
	bool valid = g_utf8_validate(text, -1, NULL);

	g_string_append_c(json, '"');
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte == '"' || byte == '\\')
			g_string_append_printf(json, "\\%c", byte);
		else if (byte < ' ' || byte == 0x7f || (byte >= 0x80 && !valid))
			g_string_append_printf(json, "\\u%04x", byte);
		else
			g_string_append_c(json, (char)byte);
	}
	g_string_append_c(json, '"');
}

/* Its first bytes: a command line may have megabytes, of which each user can have many. */
static char *read_command(const char *pid, size_t *ret_len)
{
	g_autofree char *path = g_strdup_printf("/proc/%s/cmdline", pid);
	autofd fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = g_malloc(COMMAND_MAX + 1);
	ssize_t got = fd < 0 ? 0 : fd_read_all(fd, text, COMMAND_MAX + 1);
	size_t len = got > 0 ? (size_t)got : 0;

	/* Between two characters. */
	if (len > COMMAND_MAX) {
		len = COMMAND_MAX;
		while (len > COMMAND_MAX - 4 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	text[len] = '\0';
	*ret_len = len;
	return text;
}

static char *command_of(const char *pid, const struct process *process)
{
	size_t len;
	char *text = read_command(pid, &len);

	while (len && !text[len - 1])
		len--;
	if (!len) {
		g_free(text);
		return g_strdup_printf("[%s]", process->name);
	}
	for (size_t i = 0; i < len; i++) {
		if (!text[i])
			text[i] = ' ';
	}
	return text;
}

static void append_user(GString *json, const char *pid, GHashTable *names)
{
	g_autofree char *path = g_strdup_printf("/proc/%s", pid);
	const struct passwd *entry;
	const char *name;
	struct stat st;

	if (stat(path, &st)) {
		append_string(json, "?");
		return;
	}
	name = g_hash_table_lookup(names, GUINT_TO_POINTER(st.st_uid));
	if (!name) {
		entry = getpwuid(st.st_uid);
		name = entry ? g_strdup(entry->pw_name) : g_strdup_printf("%u", st.st_uid);
		g_hash_table_insert(names, GUINT_TO_POINTER(st.st_uid), (gpointer)name);
	}
	append_string(json, name);
}

static void print_process(const char *pid, long long boot, GHashTable *names)
{
	struct process process;
	g_autofree char *command = NULL;
	GString *json;

	/* One that has ended meanwhile is not there. */
	if (!read_process(pid, &process))
		return;
	command = command_of(pid, &process);
	json = g_string_new(NULL);
	g_string_append_printf(json, "{\"pid\":%s,\"ppid\":%d,\"user\":", pid, process.ppid);
	append_user(json, pid, names);
	g_string_append_printf(json,
			       ",\"state\":\"%c\",\"rss\":%lld,\"cpu\":%llu,\"started\":%lld,"
			       "\"command\":",
			       isalpha((unsigned char)process.state) ? process.state : '?',
			       process.rss * sysconf(_SC_PAGESIZE),
			       process.cpu * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK),
			       started(&process, boot));
	append_string(json, command);
	g_string_append(json, "}\n");
	(void)fwrite(json->str, 1, json->len, stdout);
	g_string_free(json, TRUE);
}

static int check_ps(const struct task_spec *spec, char **ret_about)
{
	bool has_stream = fields_get(spec->fields, spec->len, "stdout") && !spec->tty;

	*ret_about = g_strdup(has_stream ? "processes" : "no stream is named");
	return has_stream ? 0 : EINVAL;
}

static int run_ps(const struct task_spec *spec, int report_fd, struct report *report)
{
	GHashTable *names = g_hash_table_new(NULL, NULL);
	long long boot = boot_time();
	struct account account;
	const char *name;
	GDir *dir;

	(void)report_fd;
	if (account_become(spec, &account, report))
		return -1;
	dir = g_dir_open("/proc", 0, NULL);
	if (!dir)
		return report_set(report, ENOENT, "no /proc");
	while ((name = g_dir_read_name(dir))) {
		if (isdigit((unsigned char)*name))
			print_process(name, boot, names);
	}
	return fflush(stdout) || ferror(stdout) ? report_set(report, EPIPE, "cut off") : 0;
}

static int check_kill(const struct task_spec *spec, char **ret_about)
{
	uint64_t pid, begun, number;

	if (fields_number(spec->fields, spec->len, "pid", INT32_MAX, &pid) || pid < 2 ||
	    fields_number(spec->fields, spec->len, "started", INT64_MAX, &begun) ||
	    fields_number(spec->fields, spec->len, "signal", 64, &number) || !number) {
		*ret_about = g_strdup("malformed pid, started or signal");
		return EINVAL;
	}
	*ret_about = g_strdup_printf("process %d, signal %d", (int)pid, (int)number);
	return 0;
}

static int run_kill(const struct task_spec *spec, int report_fd, struct report *report)
{
	uint64_t pid = 0, begun = 0, number = 0;
	struct process process;
	struct account account;
	char name[24];
	int fd, ret;

	(void)report_fd;
	(void)fields_number(spec->fields, spec->len, "pid", INT32_MAX, &pid);
	(void)fields_number(spec->fields, spec->len, "started", INT64_MAX, &begun);
	(void)fields_number(spec->fields, spec->len, "signal", 64, &number);
	if (account_become(spec, &account, report))
		return -1;
	/* The descriptor holds on to the process that is looked at next. */
	fd = (int)syscall(CALL_PIDFD_OPEN, (pid_t)pid, 0);
	snprintf(name, sizeof(name), "%llu", (unsigned long long)pid);
	if (!read_process(name, &process) ||
	    llabs(started(&process, boot_time()) - (long long)begun) > 1)
		return report_set(report, ESRCH, "no such process");
	if (fd >= 0)
		ret = (int)syscall(CALL_PIDFD_SEND_SIGNAL, fd, (int)number, NULL, 0);
	else
		ret = kill((pid_t)pid, (int)number);
	return ret ? report_set(report, errno, "process %s: %s", name, strerror(errno)) : 0;
}

static bool ok(struct fields_builder *result, int status, int signal, uint64_t bytes)
{
	(void)result;
	(void)signal;
	(void)bytes;
	return status == 0;
}

static const struct task_type ps_type = {
	.word = "ps",
	.check = check_ps,
	.run = run_ps,
	.transfer = true,
	.ok = ok,
};

static const struct task_type kill_type = {
	.word = "kill",
	.check = check_kill,
	.run = run_kill,
	.ok = ok,
};

static void run_word_ps(void *state, struct door_command *command, const char *args, size_t len)
{
	task_start(state, &ps_type, command, args, len);
}

static void run_word_kill(void *state, struct door_command *command, const char *args, size_t len)
{
	task_start(state, &kill_type, command, args, len);
}

static const struct plugin_word words[] = {
	{ "lodge.ps", run_word_ps },
	{ "lodge.kill", run_word_kill },
	{ NULL, NULL },
};

const struct plugin procs_plugin = {
	.name = "procs",
	.help = "lists and ends processes for the host, as allow-exec allows",
	.words = words,
	.start = tasks_start,
	.lost = tasks_lost,
	.stop = tasks_stop,
};
