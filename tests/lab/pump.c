// SPDX-License-Identifier: GPL-2.0-or-later
// The host's end of the lab: runs QEMU, gives lab-init its job, carries stdin, stdout and stderr,
// and ends with COMMAND's exit status. It keeps nothing on disk, and QEMU cannot outlive it.
#include "tests/lab/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lab/job.h"
#include "tests/lab/stream.h"

enum { IN, OUT, ERR, CTL, CONSOLE, N_CHANNELS };

#define N_STREAMS    3
#define CONSOLE_KEEP 16384
/* Seconds. A start takes 3 on an idle machine; busy ones have taken 40. */
#define START_LIMIT 180u

static const char *const port_names[] = { LAB_PORT_IN, LAB_PORT_OUT, LAB_PORT_ERR, LAB_PORT_CTL };

struct pump {
	struct pump_options options;
	int channels[N_CHANNELS]; /* our ends; -1 when ended */
	int signals;
	pid_t qemu;
	bool qemu_ended;
	bool started;
	bool stdin_told;
	int code; /* COMMAND's exit status; -1 while it runs */
	unsigned long long length[N_STREAMS]; /* of stdout and stderr, known with code */
	struct timespec deadline; /* of the start, then of COMMAND */
	char *job;
	size_t job_len;
	size_t job_sent;
	struct stream streams[N_STREAMS];
	size_t ctl_used;
	char ctl_buf[256];
	size_t console_used;
	char console_buf[CONSOLE_KEEP];
};

struct args {
	char **argv;
	size_t n;
};

static void add(struct args *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct args *a, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&a->argv[a->n], format, ap) >= 0)
		a->n++;
	va_end(ap);
}

/* QEMU's own command line, and the serial console and ports on the given descriptors. */
static char **qemu_argv(const struct pump *p, const int theirs[N_CHANNELS])
{
	struct args a = { 0 };
	size_t given = 0;

	while (p->options.qemu[given])
		given++;
	a.argv = calloc(given + 3 + 4 * N_CHANNELS, sizeof(char *));
	if (!a.argv)
		return NULL;
	while (a.n < given) {
		a.argv[a.n] = p->options.qemu[a.n];
		a.n++;
	}
	add(&a, "-device");
	add(&a, "virtio-serial-pci");
	for (int i = 0; i < N_CHANNELS; i++) {
		add(&a, "-chardev");
		add(&a, "socket,id=ch%d,fd=%d", i, theirs[i]);
		if (i == CONSOLE) {
			add(&a, "-serial");
			add(&a, "chardev:ch%d", i);
		} else {
			add(&a, "-device");
			add(&a, "virtserialport,chardev=ch%d,name=%s", i, port_names[i]);
		}
	}
	return a.argv;
}

static void exec_qemu(const struct pump *p, const int theirs[N_CHANNELS], pid_t parent)
{
	char **argv = qemu_argv(p, theirs);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || !argv || null < 0)
		_exit(LAB_EXIT_LAB);
	/* Out of the terminal's process group: Ctrl-C is for lab-pump to act upon. */
	setpgid(0, 0);
	dup2(null, 0);
	dup2(null, 1);
	dup2(theirs[CONSOLE], 2);
	for (int i = 0; i < N_CHANNELS; i++)
		fcntl(theirs[i], F_SETFD, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(argv[0], argv);
	dprintf(2, "lab: cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(LAB_EXIT_LAB);
}

static int start_qemu(struct pump *p)
{
	int theirs[N_CHANNELS];
	pid_t self = getpid();

	for (int i = 0; i < N_CHANNELS; i++) {
		int sv[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
			return -errno;
		p->channels[i] = sv[0];
		theirs[i] = sv[1];
		if (fcntl(sv[0], F_SETFL, O_NONBLOCK) < 0)
			return -errno;
	}
	p->qemu = fork();
	if (p->qemu < 0)
		return -errno;
	if (p->qemu == 0)
		exec_qemu(p, theirs, self);
	for (int i = 0; i < N_CHANNELS; i++)
		close(theirs[i]);
	p->streams[IN] = (struct stream){ .from = STDIN_FILENO, .to = p->channels[IN] };
	p->streams[OUT] = (struct stream){ .from = p->channels[OUT], .to = STDOUT_FILENO };
	p->streams[ERR] = (struct stream){ .from = p->channels[ERR], .to = STDERR_FILENO };
	return 0;
}

static void read_console(struct pump *p)
{
	char buf[4096];
	ssize_t n = read(p->channels[CONSOLE], buf, sizeof(buf));
	size_t len = (size_t)n;

	if (n <= 0) {
		if (n == 0)
			p->channels[CONSOLE] = -1;
		return;
	}
	if (p->options.console)
		dprintf(STDERR_FILENO, "%.*s", (int)n, buf);
	if (p->console_used + len > CONSOLE_KEEP) {
		size_t drop = p->console_used + len - CONSOLE_KEEP;

		memmove(p->console_buf, p->console_buf + drop, p->console_used - drop);
		p->console_used -= drop;
	}
	memcpy(p->console_buf + p->console_used, buf, len);
	p->console_used += len;
}

static void limit(struct pump *p, unsigned int seconds)
{
	clock_gettime(CLOCK_MONOTONIC, &p->deadline);
	p->deadline.tv_sec += seconds;
}

static void hear_record(struct pump *p, const char *record)
{
	if (!strcmp(record, "started")) {
		p->started = true;
		limit(p, p->options.timeout);
	} else if (sscanf(record, "exit=%d out=%llu err=%llu", &p->code, &p->length[OUT],
			  &p->length[ERR]) != 3) {
		fprintf(stderr, "lab: lab-init said: %s\n", record);
	}
}

static void read_ctl(struct pump *p)
{
	ssize_t n =
		read(p->channels[CTL], p->ctl_buf + p->ctl_used, sizeof(p->ctl_buf) - p->ctl_used);
	char *nul;

	if (n == 0)
		p->channels[CTL] = -1;
	if (n <= 0)
		return;
	p->ctl_used += (size_t)n;
	while ((nul = memchr(p->ctl_buf, '\0', p->ctl_used))) {
		size_t len = (size_t)(nul - p->ctl_buf) + 1;

		hear_record(p, p->ctl_buf);
		memmove(p->ctl_buf, p->ctl_buf + len, p->ctl_used - len);
		p->ctl_used -= len;
	}
}

static void send_ctl(struct pump *p)
{
	ssize_t n = write(p->channels[CTL], p->job + p->job_sent, p->job_len - p->job_sent);

	if (n > 0)
		p->job_sent += (size_t)n;
}

/* One record more at the end of what goes to lab-init: how long stdin was. */
static void tell_stdin_end(struct pump *p)
{
	int len;

	if (!stream_done(&p->streams[IN]) || p->stdin_told || !p->started)
		return;
	free(p->job);
	len = asprintf(&p->job, "stdin=%llu", (unsigned long long)p->streams[IN].bytes_in);
	p->job_len = len < 0 ? 0 : (size_t)len + 1;
	p->job_sent = 0;
	p->stdin_told = true;
}

static int left_ms(const struct pump *p)
{
	struct timespec now;
	long ms;

	if (p->started && !p->options.timeout)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (p->deadline.tv_sec - now.tv_sec) * 1000 +
	     (p->deadline.tv_nsec - now.tv_nsec) / 1000000;
	return ms > 0 ? (int)ms : 0;
}

/* The signal that ends us, 0 for none. Notes QEMU's end. */
static int read_signals(struct pump *p)
{
	struct signalfd_siginfo info;

	while (read(p->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGCHLD)
			return (int)info.ssi_signo;
		if (waitpid(p->qemu, NULL, WNOHANG) == p->qemu)
			p->qemu_ended = true;
	}
	return 0;
}

static bool output_done(const struct pump *p, int i)
{
	const struct stream *s = &p->streams[i];

	return stream_done(s) || (p->code >= 0 && s->bytes_out == p->length[i]);
}

/* Runs until COMMAND has ended and its output is written; returns the exit status or a negative
 * signal. */
static int serve(struct pump *p)
{
	struct pollfd pfd[2 * N_STREAMS + 3];

	while (!output_done(p, OUT) || !output_done(p, ERR) || p->code < 0) {
		int signo;

		for (int i = 0; i < N_STREAMS; i++)
			stream_want(&p->streams[i], &pfd[2 * i]);
		tell_stdin_end(p);
		pfd[6] = (struct pollfd){ .fd = p->channels[CTL], .events = POLLIN };
		if (p->job_sent < p->job_len)
			pfd[6].events |= POLLOUT;
		pfd[7] = (struct pollfd){ .fd = p->channels[CONSOLE], .events = POLLIN };
		pfd[8] = (struct pollfd){ .fd = p->signals, .events = POLLIN };
		if (poll(pfd, 9, left_ms(p)) == 0)
			return p->started ? LAB_EXIT_TIMEOUT : LAB_EXIT_LAB;
		for (int i = 0; i < N_STREAMS; i++)
			stream_step(&p->streams[i], &pfd[2 * i]);
		if (pfd[6].revents & POLLOUT)
			send_ctl(p);
		if (pfd[6].revents & (POLLIN | POLLHUP))
			read_ctl(p);
		if (pfd[7].revents)
			read_console(p);
		signo = pfd[8].revents ? read_signals(p) : 0;
		if (signo)
			return -signo;
		if (p->qemu_ended && p->channels[CTL] < 0 && p->channels[CONSOLE] < 0 &&
		    p->code < 0)
			return LAB_EXIT_LAB;
	}
	return p->code;
}

static void explain(const struct pump *p, int code)
{
	if (p->code >= 0 || code < 0)
		return;
	if (code == LAB_EXIT_TIMEOUT)
		fprintf(stderr, "lab: stopped: '%s' has not ended within %u s (--timeout)\n",
			p->options.command[0], p->options.timeout);
	else if (!p->qemu_ended)
		fprintf(stderr, "lab: stopped: COMMAND had not started after %u s\n", START_LIMIT);
	else
		fprintf(stderr, "lab: the lab's machine ended by itself%s\n",
			p->started ? "" : " before COMMAND could start");
	if (code != LAB_EXIT_TIMEOUT && !p->options.console)
		fprintf(stderr, "lab: its console said last:\n%.*s\n", (int)p->console_used,
			p->console_buf);
}

static int watch_signals(void)
{
	static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		sigaddset(&set, caught[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
	struct pump *p = calloc(1, sizeof(*p));
	int code;

	if (!p || pump_parse(argc, argv, &p->options) < 0)
		return LAB_EXIT_LAB;
	signal(SIGPIPE, SIG_IGN);
	p->code = -1;
	p->signals = watch_signals();
	limit(p, START_LIMIT);
	code = pump_make_job(&p->options, &p->job, &p->job_len);
	if (code == 0)
		code = start_qemu(p);
	if (code < 0) {
		fprintf(stderr, "lab: cannot start: %s\n", strerror(-code));
		return LAB_EXIT_LAB;
	}
	code = serve(p);
	kill(p->qemu, SIGKILL);
	if (!p->qemu_ended)
		waitpid(p->qemu, NULL, 0);
	explain(p, code);
	if (code < 0) {
		fprintf(stderr, "lab: stopped by signal %d (%s)\n", -code, strsignal(-code));
		return 128 - code;
	}
	return code;
}
