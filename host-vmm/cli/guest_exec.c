// SPDX-License-Identifier: GPL-2.0-or-later
// One program in the guest: our three streams, our signals, our terminal, its status.
#include "host-vmm/cli/guest_exec.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "host-vmm/cli/cli.h"
#include "host-vmm/cli/guest_link.h"
#include "host-vmm/cli/outlet.h"
#include "host-vmm/cli/terminal.h"
#include "protocol/lib/fd.h"

#define IMPATIENCE    3 /* signals of the ending kind, until we end without the guest */
#define LEAVE_BYTE    0x1d /* Ctrl-], as many times within a second */
#define LEAVE_TIMES   3
#define LEAVE_WITHIN  G_USEC_PER_SEC
#define TIMEOUT_SPARE 20 /* seconds beyond the guest's own limit and its SIGKILL */
#define STATUS_LEFT   (128 + SIGHUP) /* what the guest sends a program whose host is gone */

struct exec {
	const struct guest_exec_spec *spec;
	struct guest_link *link;
	struct guest_stream in, out, err;
	struct guest_command command, signal, resize;
	char job[33];
	struct outlet outlets[2]; /* stdout, stderr */
	struct terminal_mode mode;
	int signals;
	int killed; /* signals of the ending kind that we got */
	int last_signal;
	unsigned int leave; /* LEAVE_BYTEs in a row */
	gint64 leave_since;
	gint64 end; /* monotonic; 0: none */
};

static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
static const int passed_on[] = { SIGUSR1, SIGUSR2, SIGWINCH };

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < G_N_ELEMENTS(ending); i++)
		sigaddset(&set, ending[i]);
	for (size_t i = 0; i < G_N_ELEMENTS(passed_on); i++)
		sigaddset(&set, passed_on[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Other clients of the VM choose names too: so one that nobody else will. */
static void make_job(char job[33])
{
	unsigned char bytes[16] = { 0 };

	if (getrandom(bytes, sizeof(bytes), 0) < 0)
		memcpy(bytes, &(gint64){ g_get_real_time() }, sizeof(gint64));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(job + 2 * i, 3, "%02x", bytes[i]);
}

static void add_size(struct fields_builder *text)
{
	unsigned int cols, rows;

	terminal_size(&cols, &rows);
	fields_addf(text, "tty", "%ux%u", cols, rows);
}

static void describe(const struct exec *exec, struct fields_builder *text)
{
	const struct guest_exec_spec *spec = exec->spec;

	fields_raw(text, "lodge.exec ");
	for (char **arg = spec->argv; *arg; arg++)
		fields_add(text, "arg", *arg);
	if (spec->user)
		fields_add(text, "user", spec->user);
	if (spec->dir)
		fields_add(text, "dir", spec->dir);
	for (char **env = spec->env; env && *env; env++)
		fields_add(text, "env", *env);
	if (spec->timeout_s)
		fields_addf(text, "timeout", "%u", spec->timeout_s);
	fields_add(text, "job", exec->job);
	if (exec->in.number)
		fields_addf(text, "stdin", "%u", exec->in.number);
	fields_addf(text, "stdout", "%u", exec->out.number);
	if (exec->err.number)
		fields_addf(text, "stderr", "%u", exec->err.number);
	if (spec->tty) {
		const char *term = g_getenv("TERM");

		add_size(text);
		fields_add(text, "term", term && *term ? term : "dumb");
	}
}

static int begin(struct exec *exec)
{
	struct fields_builder text = FIELDS_BUILDER(LODGE_RPC_DATA_MAX);
	int ret = 0;

	if (!exec->spec->no_stdin)
		ret = guest_stream_open(exec->link, false, &exec->in);
	if (!ret)
		ret = guest_stream_open(exec->link, true, &exec->out);
	if (!ret && !exec->spec->tty)
		ret = guest_stream_open(exec->link, true, &exec->err);
	if (!ret) {
		describe(exec, &text);
		ret = guest_command_send(exec->link, &text, &exec->command);
	}
	fields_free(&text);
	return ret;
}

static int send_signal(struct exec *exec, int number)
{
	struct fields_builder text = FIELDS_BUILDER(LODGE_RPC_DATA_MAX);
	int ret = 0;

	/* One that is still under way is enough of its kind. */
	if (exec->signal.tag && !exec->signal.done)
		return 0;
	fields_raw(&text, "lodge.exec-signal ");
	fields_add(&text, "job", exec->job);
	fields_addf(&text, "signal", "%d", number);
	ret = guest_command_send(exec->link, &text, &exec->signal);
	fields_free(&text);
	return ret;
}

static int send_size(struct exec *exec)
{
	struct fields_builder text = FIELDS_BUILDER(LODGE_RPC_DATA_MAX);
	int ret;

	if (!exec->spec->tty || (exec->resize.tag && !exec->resize.done))
		return 0;
	fields_raw(&text, "lodge.exec-resize ");
	fields_add(&text, "job", exec->job);
	add_size(&text);
	ret = guest_command_send(exec->link, &text, &exec->resize);
	fields_free(&text);
	return ret;
}

static int take_signals(struct exec *exec)
{
	struct signalfd_siginfo info;
	int ret = 0;

	while (!ret && read(exec->signals, &info, sizeof(info)) == sizeof(info)) {
		int number = (int)info.ssi_signo;

		if (number == SIGWINCH) {
			ret = send_size(exec);
			continue;
		}
		ret = send_signal(exec, number);
		for (size_t i = 0; i < G_N_ELEMENTS(ending); i++) {
			if (ending[i] != number)
				continue;
			exec->killed++;
			exec->last_signal = number;
		}
	}
	return ret;
}

/* The way out where the guest's program keeps Ctrl-C to itself. */
static bool wants_to_leave(struct exec *exec, const unsigned char *bytes, size_t len)
{
	gint64 now = g_get_monotonic_time();

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != LEAVE_BYTE ||
		    (exec->leave && now - exec->leave_since > LEAVE_WITHIN))
			exec->leave = 0;
		if (bytes[i] != LEAVE_BYTE)
			continue;
		if (!exec->leave++)
			exec->leave_since = now;
		if (exec->leave == LEAVE_TIMES)
			return true;
	}
	return false;
}

/* @room: as it was when there was some, for a read of no bytes looks like the end. */
static int take_stdin(struct exec *exec, size_t room)
{
	unsigned char bytes[16 << 10];
	ssize_t got = read(STDIN_FILENO, bytes, MIN(room, sizeof(bytes)));

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (got > 0 && exec->mode.raw && wants_to_leave(exec, bytes, (size_t)got))
		return -ECANCELED;
	return guest_stream_send(exec->link, &exec->in, bytes, got > 0 ? (size_t)got : 0, got <= 0);
}

static int give_out(struct exec *exec, struct guest_stream *stream, const struct outlet *outlet)
{
	const unsigned char *bytes;
	size_t len = guest_stream_peek(stream, &bytes);
	ssize_t done = outlet_write(outlet, bytes, len);

	if (done < 0)
		return guest_stream_give_up(exec->link, stream, g_strerror((int)-done));
	return guest_stream_take(exec->link, stream, (size_t)done);
}

static int patience(const struct exec *exec)
{
	gint64 left;

	if (!exec->end)
		return -1;
	left = (exec->end - g_get_monotonic_time()) / 1000;
	return (int)CLAMP(left, 0, G_MAXINT);
}

/* One round of the loop. -ETIMEDOUT and -ECANCELED where we give up. */
static int turn(struct exec *exec)
{
	size_t room = exec->in.number ? guest_stream_room(exec->link, &exec->in) : 0;
	struct pollfd pfds[] = {
		guest_link_pollfd(exec->link),
		{ exec->signals, POLLIN, 0 },
		{ room ? STDIN_FILENO : -1, POLLIN, 0 },
		{ exec->out.len ? exec->outlets[0].fd : -1, POLLOUT, 0 },
		{ exec->err.len ? exec->outlets[1].fd : -1, POLLOUT, 0 },
	};
	/* Once the program has ended all that is left is ours to print. */
	int n = poll(pfds, G_N_ELEMENTS(pfds), exec->command.done ? -1 : patience(exec));
	int ret = 0;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (!n)
		return -ETIMEDOUT;
	if (pfds[1].revents)
		ret = take_signals(exec);
	if (!ret && exec->killed >= IMPATIENCE)
		ret = -ECANCELED;
	if (!ret && pfds[3].revents)
		ret = give_out(exec, &exec->out, &exec->outlets[0]);
	if (!ret && pfds[4].revents)
		ret = give_out(exec, &exec->err, &exec->outlets[1]);
	if (!ret && pfds[2].revents)
		ret = take_stdin(exec, room);
	if (!ret && pfds[0].revents)
		ret = guest_link_turn(exec->link);
	/* The monitor may close at once behind the result. */
	return ret == -ECONNRESET && exec->command.done ? 0 : ret;
}

static int conclude(const struct exec *exec)
{
	g_autofree char *text = NULL;
	const char *fields = NULL;
	size_t len = 0;
	guint64 status;
	int number = guest_command_outcome(&exec->command, &fields, &len, &text);

	if (!number && fields_number(fields, len, "status", 255, &status))
		return fail(GUEST_NO_TOOLS, "%s: the guest's tools told no exit status",
			    exec->spec->name);
	if (!number)
		return (int)status;
	if (number == GUEST_NOT_FOUND || number == GUEST_CANNOT_RUN)
		return fail(number, "%s: %s", exec->spec->name, *text ? text : exec->spec->argv[0]);
	return fail(GUEST_NO_TOOLS, "%s: %s", exec->spec->name, *text ? text : g_strerror(number));
}

static int explain(const struct exec *exec, int error)
{
	switch (-error) {
	case ECANCELED:
		return exec->killed ? 128 + exec->last_signal : STATUS_LEFT;
	case ETIMEDOUT:
		return fail(GUEST_TIMED_OUT,
			    "%s: %s has not ended after %u s, nor by the guest's SIGKILL",
			    exec->spec->name, exec->spec->argv[0], exec->spec->timeout_s);
	case ECONNRESET:
		return fail(GUEST_NO_TOOLS, "%s: the VM ended before %s did", exec->spec->name,
			    exec->spec->argv[0]);
	case EMSGSIZE:
		return fail(GUEST_NO_TOOLS,
			    "%s: the command and its environment are too long: %u "
			    "bytes at most; put them into a file",
			    exec->spec->name, LODGE_RPC_DATA_MAX);
	default:
		return fail(GUEST_NO_TOOLS, "%s: the monitor cannot be spoken to: %s",
			    exec->spec->name, g_strerror(-error));
	}
}

int guest_exec(struct guest_link *link, const struct guest_exec_spec *spec)
{
	struct exec exec = { .spec = spec, .link = link, .signals = open_signals() };
	int ret;

	make_job(exec.job);
	outlet_open(STDOUT_FILENO, &exec.outlets[0]);
	outlet_open(STDERR_FILENO, &exec.outlets[1]);
	if (spec->timeout_s)
		exec.end = g_get_monotonic_time() +
			   (spec->timeout_s + TIMEOUT_SPARE) * (gint64)G_USEC_PER_SEC;
	if (spec->tty)
		terminal_make_raw(&exec.mode);
	ret = begin(&exec);
	while (!ret && !(exec.command.done && !exec.out.len && !exec.err.len))
		ret = turn(&exec);
	terminal_restore(&exec.mode);
	ret = ret ? explain(&exec, ret) : conclude(&exec);
	outlet_close(&exec.outlets[0]);
	outlet_close(&exec.outlets[1]);
	guest_link_close(link);
	fd_close(&exec.signals);
	return ret;
}
