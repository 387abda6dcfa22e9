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
#define LATE_MODULES_MAX 32

/* What is kept from the start until the command runs. */
struct guest {
	struct run_conf conf;
	int late_fds[LATE_MODULES_MAX];
	int status_port, signals;
};

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

static void load_needed(const struct words *modules)
{
	for (size_t i = 0; i < modules->n; i++) {
		int ret = module_load(modules->list[i], module_open(modules->list[i]));

		if (ret)
			die(-ret, "cannot load the kernel module %s", modules->list[i]);
	}
}

static void open_late(const struct words *modules, int fds[LATE_MODULES_MAX])
{
	for (size_t i = 0; i < modules->n && i < LATE_MODULES_MAX; i++)
		fds[i] = module_open(modules->list[i]);
}

/* While the command starts: a guest without its random numbers or button is still of use. */
static void load_late(const struct words *modules, const int fds[LATE_MODULES_MAX])
{
	for (size_t i = 0; i < modules->n && i < LATE_MODULES_MAX; i++) {
		int ret = module_load(modules->list[i], fds[i]);

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

static int run_on_terminal(const struct guest *guest)
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
	report_ready(guest->status_port);
	child = start(&guest->conf, &streams);
	load_late(&guest->conf.late_modules, guest->late_fds);
	tools_start(&guest->conf);
	status = pump_run(child, guest->signals, power_button_open(), none, none);
	tcdrain(keep);
	close(keep);
	return status;
}

/*
 * The host tells of its end of a port just after its name, port by port. Where stdout and stderr
 * are there and open, stdin's news have come before: no need to wait for it, which would take long
 * where it has ended already (</dev/null).
 */
static void open_ports(int ports[3])
{
	static const char *const names[3] = { LODGE_RUN_PORT_STDIN, LODGE_RUN_PORT_STDOUT,
					      LODGE_RUN_PORT_STDERR };

	for (int i = 2; i >= 0; i--) {
		ports[i] = port_open(names[i]);
		if (ports[i] < 0)
			die(-ports[i], "cannot open the port %s", names[i]);
		if (i)
			(void)port_wait_host(ports[i], HOST_PATIENCE_MS);
	}
}

static int run_on_ports(const struct guest *guest)
{
	int ports[3], ours[3], theirs[3];
	struct streams streams;
	pid_t child;

	open_ports(ports);
	for (int i = 0; i < 3; i++) {
		int ends[2];

		if (pipe2(ends, O_CLOEXEC))
			die(errno, "cannot make a pipe");
		theirs[i] = ends[i ? 1 : 0];
		ours[i] = ends[i ? 0 : 1];
		(void)fcntl(ours[i], F_SETFL, O_NONBLOCK);
		/* What the command opens again by /dev/stdout must be openable by its user. */
		(void)fchmod(ours[i], 0666);
	}
	streams = (struct streams){ theirs[0], theirs[1], theirs[2], false };
	report_ready(guest->status_port);
	child = start(&guest->conf, &streams);
	load_late(&guest->conf.late_modules, guest->late_fds);
	tools_start(&guest->conf);
	return pump_run(child, guest->signals, power_button_open(), ports, ours);
}

int main(void)
{
	struct guest guest;
	struct run_conf *conf = &guest.conf;
	int status;

	if (getpid() != 1) {
		fprintf(stderr, "lodge-init: this is process 1 of a guest that lodge run starts\n");
		return 64;
	}
	mount_kernel();
	open_console();
	read_conf(conf);
	if (conf->hello) {
		dprintf(STDOUT_FILENO, "%s\n", LODGE_RUN_HELLO);
		tcdrain(STDOUT_FILENO);
		power_off();
	}
	load_needed(&conf->modules);
	open_late(&conf->late_modules, guest.late_fds);
	mount_root(conf);
	mount_rest(conf);
	name_and_loopback(conf);
	guest.signals = open_signals();
	guest.status_port = open_status_port();
	status = conf->terminal ? run_on_terminal(&guest) : run_on_ports(&guest);
	/* What the command left behind must not write after this. */
	(void)kill(-1, SIGKILL);
	sync();
	if (guest.status_port >= 0)
		dprintf(guest.status_port, LODGE_RUN_STATUS "%d\n", status);
	power_off();
}
