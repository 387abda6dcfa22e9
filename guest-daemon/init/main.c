// SPDX-License-Identifier: GPL-2.0-or-later
// lodge-init: process 1 of an instant VM. Prepares the guest, runs one command, powers off.
#include "guest-daemon/init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <lodge/run.h>
#include <lodge/run_conf.h>

#define HOST_PATIENCE_MS 3000 /* for the host to open its end of a stream */

static void __attribute__((noreturn)) power_off(void)
{
	sync();
	(void)reboot(RB_POWER_OFF);
	/* Without ACPI the kernel halts instead; either way nothing runs here again. */
	for (;;)
		pause();
}

static void say(const char *head, int error, const char *format, va_list args)
{
	char text[512];

	vsnprintf(text, sizeof(text), format, args);
	dprintf(STDERR_FILENO, "%s%s%s%s\n", head, text, error ? ": " : "",
		error ? strerror(error) : "");
}

void warn(int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("lodge-init: warning: ", error, format, args);
	va_end(args);
}

void die(int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(LODGE_RUN_ERROR, error, format, args);
	va_end(args);
	/* The console's driver writes from a buffer. */
	tcdrain(STDERR_FILENO);
	power_off();
}

static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);

	/* With no console at all the words go nowhere, and the host sees the missing status. */
	if (fd < 0)
		fd = open("/dev/null", O_RDWR);
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		(void)dup2(fd, i);
	if (fd > STDERR_FILENO)
		close(fd);
}

static void read_conf(struct run_conf *conf)
{
	int fd = open(LODGE_RUN_CONF_PATH, O_RDONLY | O_CLOEXEC);
	char *text = malloc(LODGE_RUN_CONF_MAX);
	const char *bad;
	size_t len = 0;
	ssize_t got = 1;

	if (fd < 0 || !text)
		die(errno, "cannot open %s", LODGE_RUN_CONF_PATH);
	while (got > 0 && len < LODGE_RUN_CONF_MAX) {
		got = read(fd, text + len, LODGE_RUN_CONF_MAX - len);
		if (got > 0)
			len += (size_t)got;
	}
	if (got)
		die(got < 0 ? errno : EFBIG, "cannot read %s", LODGE_RUN_CONF_PATH);
	close(fd);
	if (conf_parse(text, len, conf, &bad))
		die(0, "%s: the record '%s' is malformed", LODGE_RUN_CONF_PATH, bad);
}

static void load_modules(const struct words *modules, bool needed)
{
	for (size_t i = 0; i < modules->n; i++) {
		int ret = module_load(modules->list[i]);

		if (ret && needed)
			die(-ret, "cannot load the kernel module %s", modules->list[i]);
		if (ret)
			warn(-ret, "cannot load the kernel module %s", modules->list[i]);
	}
}

static void name_and_loopback(const struct run_conf *conf)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (conf->hostname && sethostname(conf->hostname, strlen(conf->hostname)))
		warn(errno, "cannot set the host name");
	if (fd < 0)
		return;
	if (!ioctl(fd, SIOCGIFFLAGS, &request)) {
		request.ifr_flags |= IFF_UP;
		if (ioctl(fd, SIOCSIFFLAGS, &request))
			warn(errno, "cannot bring up lo");
	}
	close(fd);
}

static int open_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The host's end of the status port; -1 where the VM has none. */
static int open_status_port(void)
{
	int port = port_open(LODGE_RUN_PORT_STATUS);

	if (port < 0)
		return -1;
	(void)port_wait_host(port, HOST_PATIENCE_MS);
	return port;
}

static void report_ready(int port)
{
	if (port >= 0)
		dprintf(port, LODGE_RUN_READY "\n");
}

static pid_t start(const struct run_conf *conf, const struct streams *streams)
{
	pid_t child = child_start(conf, streams);

	if (child < 0)
		die((int)-child, "cannot start a process");
	close(streams->in);
	close(streams->out);
	close(streams->err);
	return child;
}

static int run_on_terminal(const struct run_conf *conf, int status_port, int signals)
{
	static const int none[3] = { -1, -1, -1 };
	struct streams streams = { .terminal = true };
	int keep, status;
	pid_t child;

	streams.in = device_open("/dev/hvc0", O_RDWR | O_NOCTTY);
	if (streams.in < 0)
		die(-streams.in, "cannot open the terminal, /dev/hvc0");
	streams.out = dup(streams.in);
	streams.err = dup(streams.in);
	keep = fcntl(streams.in, F_DUPFD_CLOEXEC, 0);
	report_ready(status_port);
	child = start(conf, &streams);
	load_modules(&conf->late_modules, false);
	status = pump_run(child, signals, power_button_open(), none, none);
	tcdrain(keep);
	close(keep);
	return status;
}

static int run_on_ports(const struct run_conf *conf, int status_port, int signals)
{
	static const char *const names[3] = { LODGE_RUN_PORT_STDIN, LODGE_RUN_PORT_STDOUT,
					      LODGE_RUN_PORT_STDERR };
	int ports[3], ours[3], theirs[3];
	struct streams streams;
	pid_t child;

	for (int i = 0; i < 3; i++) {
		int ends[2];

		ports[i] = port_open(names[i]);
		if (ports[i] < 0)
			die(-ports[i], "cannot open the port %s", names[i]);
		/* An end that the host closes at once (</dev/null) looks like one not open yet. */
		(void)port_wait_host(ports[i], HOST_PATIENCE_MS);
		if (pipe2(ends, O_CLOEXEC))
			die(errno, "cannot make a pipe");
		theirs[i] = ends[i ? 1 : 0];
		ours[i] = ends[i ? 0 : 1];
		(void)fcntl(ours[i], F_SETFL, O_NONBLOCK);
		/* What the command opens again by /dev/stdout must be openable by its user. */
		(void)fchmod(ours[i], 0666);
	}
	streams = (struct streams){ theirs[0], theirs[1], theirs[2], false };
	report_ready(status_port);
	child = start(conf, &streams);
	load_modules(&conf->late_modules, false);
	return pump_run(child, signals, power_button_open(), ports, ours);
}

int main(void)
{
	struct run_conf conf;
	int port, signals, status;

	if (getpid() != 1) {
		fprintf(stderr, "lodge-init: this is process 1 of a guest that lodge run starts\n");
		return 64;
	}
	mount_kernel();
	open_console();
	read_conf(&conf);
	if (conf.hello) {
		dprintf(STDOUT_FILENO, "%s\n", LODGE_RUN_HELLO);
		tcdrain(STDOUT_FILENO);
		power_off();
	}
	load_modules(&conf.modules, true);
	mount_root(&conf);
	mount_rest(&conf);
	name_and_loopback(&conf);
	signals = open_signals();
	port = open_status_port();
	status = conf.terminal ? run_on_terminal(&conf, port, signals)
			       : run_on_ports(&conf, port, signals);
	/* What the command left behind must not write after this. */
	(void)kill(-1, SIGKILL);
	sync();
	if (port >= 0)
		dprintf(port, LODGE_RUN_STATUS "%d\n", status);
	power_off();
}
