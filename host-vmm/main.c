// SPDX-License-Identifier: GPL-2.0-or-later
// lodge-vmm: runs one VM, from its folder's vm.conf until the guest is down.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glib.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/control/sockets.h"
#include "host-vmm/device.h"
#include "host-vmm/machine.h"
#include "host-vmm/memory-policy/steward.h"
#include "host-vmm/sandbox.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

struct options {
	const char *vm;
	const char *runtime;
	int notify_fd;
};

static const char usage_text[] =
	"usage: lodge-vmm --vm DIR [--runtime DIR] [--notify-fd N]\n"
	"       lodge-vmm --list-devices | --help | --version\n"
	"\n"
	"Runs the virtual machine whose folder is DIR until the guest is down. `lodge start` and\n"
	"`lodge run` call this; see lodge(1).\n"
	"\n"
	"  --vm DIR         the VM's folder, with its vm.conf\n"
	"  --runtime DIR    where control.sock goes; made if missing\n"
	"                   ($XDG_RUNTIME_DIR/lodge/NAME)\n"
	"  --notify-fd N    write a line of JSON to this descriptor when the guest runs, and when it\n"
	"                   is down\n"
	"  --list-devices   the device models that this monitor has\n"
	"\n"
	"SIGTERM, SIGINT, SIGHUP and SIGQUIT stop the VM at once. Exit status: 0 when the guest went\n"
	"down or was stopped, 64 wrong usage, 69 something that the machine needs is not to be had\n"
	"(KVM, memory, a file, a back end), 70 the guest crashed the machine, 73 no control socket, 78\n"
	"an error in vm.conf or in a boot image.\n";

static int list_devices(void)
{
	for (const struct device_type *const *type = device_types; *type; type++)
		printf("%-16s %s\n", (*type)->name, (*type)->help);
	return EX_OK;
}

/* The exit status that ends the program here, or -1 to go on. */
static int parse(int argc, char **argv, struct options *options)
{
	static const struct option long_options[] = {
		{ "vm", required_argument, NULL, 'v' },
		{ "runtime", required_argument, NULL, 'r' },
		{ "notify-fd", required_argument, NULL, 'n' },
		{ "list-devices", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	char *end;
	long fd;
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 'v':
			options->vm = optarg;
			break;
		case 'r':
			options->runtime = optarg;
			break;
		case 'n':
			fd = strtol(optarg, &end, 10);
			if (*end != '\0' || end == optarg || fd < 0 || fd > 65535) {
				log_error("--notify-fd wants a descriptor's number, not '%s'",
					  optarg);
				return EX_USAGE;
			}
			options->notify_fd = (int)fd;
			/* Ours, and not the helpers'. */
			if (fcntl(options->notify_fd, F_SETFD, FD_CLOEXEC) < 0) {
				log_error("--notify-fd %s: no such descriptor; open it for us",
					  optarg);
				return EX_USAGE;
			}
			break;
		case 'l':
			return list_devices();
		case 'h':
			fputs(usage_text, stdout);
			return EX_OK;
		case 'V':
			puts("lodge-vmm " LODGE_VERSION);
			return EX_OK;
		default:
			fputs("Try 'lodge-vmm --help'.\n", stderr);
			return EX_USAGE;
		}
	}
	if (optind < argc || !options->vm) {
		log_error("%s; try 'lodge-vmm --help'",
			  options->vm ? "too many arguments" : "which VM? --vm DIR is missing");
		return EX_USAGE;
	}
	return -1;
}

static const char *event_word(enum machine_event event)
{
	switch (event) {
	case MACHINE_RESET:
		return "reset";
	case MACHINE_POWEROFF:
		return "poweroff";
	case MACHINE_KILL:
		return "kill";
	default:
		return "crash";
	}
}

/* A parent that is gone is none of our business: errors are dropped. */
static void notify_started(const struct options *options)
{
	static const char line[] = "{\"event\":\"started\"}\n";

	if (options->notify_fd >= 0)
		(void)fd_write_all(options->notify_fd, line, sizeof(line) - 1);
}

static void notify_exit(const struct options *options, enum machine_event event, int status)
{
	char line[96];
	int len;

	if (options->notify_fd < 0)
		return;
	if (status >= 0)
		len = snprintf(line, sizeof(line),
			       "{\"event\":\"exit\",\"reason\":\"%s\",\"status\":%d}\n",
			       event_word(event), status);
	else
		len = snprintf(line, sizeof(line), "{\"event\":\"exit\",\"reason\":\"%s\"}\n",
			       event_word(event));
	(void)fd_write_all(options->notify_fd, line, len);
}

/* Blocked in all threads, and read from a descriptor by the main one. */
static int open_signals(void)
{
	sigset_t set;

	/* Pipes that break and files that may not grow are errors of the call, not the end of us.
	 */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static enum machine_event serve(struct machine *machine, int signals)
{
	struct pollfd fds[] = {
		{ .fd = machine->event_fd, .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};
	enum machine_event end = MACHINE_NONE;

	while (end == MACHINE_NONE) {
		struct signalfd_siginfo info;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return MACHINE_CRASH;
		if (read(signals, &info, sizeof(info)) == sizeof(info)) {
			log_info("stopped by signal %u", info.ssi_signo);
			machine_request(machine, MACHINE_KILL);
		}
		end = machine_dispatch(machine);
	}
	return end;
}

/* Each queue of each device takes descriptors; the usual soft limit is for programs that select(2).
 */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static char *runtime_dir(const struct options *options, const struct vm_config *config)
{
	g_autofree char *fallback = g_strdup_printf("/tmp/lodge-%u", (unsigned int)getuid());
	const char *base = g_getenv("XDG_RUNTIME_DIR");

	if (options->runtime)
		return g_strdup(options->runtime);
	if (base && *base)
		return g_strdup_printf("%s/lodge/%s", base, config->name);
	return g_strdup_printf("%s/%s", fallback, config->name);
}

/* All is set up: once the guest runs, its code may be in this process, for all we know. */
static void enter_sandbox(const struct vm_config *config)
{
	const struct sandbox_needs needs = sandbox_needs_of(config);
	int ret = sandbox_enter(&needs);

	if (ret < 0)
		log_warn("runs without its sandbox: %s; the host's kernel needs seccomp filters",
			 strerror(-ret));
}

/* The VM runs without it, and its guest keeps the memory that it has. */
static void start_steward(struct machine *machine, const char *runtime)
{
	g_autofree char *shared = g_path_get_dirname(runtime);
	int ret = g_mkdir_with_parents(shared, 0700) < 0 ? -errno : 0;

	if (ret == 0)
		ret = memory_steward_create(machine, shared, &machine->steward);
	if (ret < 0)
		log_warn("the guest's memory is not looked after: %s", strerror(-ret));
}

static void end_machine(struct machine *machine)
{
	memory_steward_destroy(machine->steward);
	machine_destroy(machine);
}

static int run(const struct options *options, const struct vm_config *config, const char *runtime,
	       int signals)
{
	struct sockets *sockets = NULL;
	struct machine *machine = NULL;
	enum machine_event end;
	int ret;

	ret = machine_create(config, &machine);
	if (ret < 0)
		return EX_UNAVAILABLE;
	start_steward(machine, runtime);
	ret = sockets_start(machine, runtime, &sockets);
	if (ret < 0) {
		end_machine(machine);
		return EX_CANTCREAT;
	}
	ret = machine_load(machine);
	if (ret < 0) {
		sockets_stop(sockets, NULL);
		end_machine(machine);
		return EX_CONFIG;
	}
	enter_sandbox(config);
	machine_go(machine);
	if (config->memory_mode != VM_MEMORY_OFF)
		memory_steward_poke(machine->steward);
	notify_started(options);
	end = serve(machine, signals);
	log_debug("the guest is down: %s", event_word(end));
	sockets_stop(sockets, event_word(end));
	ret = machine->guest_status;
	end_machine(machine);
	notify_exit(options, end, ret);
	return end == MACHINE_CRASH ? EX_SOFTWARE : EX_OK;
}

int main(int argc, char **argv)
{
	struct options options = { .notify_fd = -1 };
	struct vm_config *config = NULL;
	char *message = NULL, *runtime;
	autofd signals = -1;
	int ret;

	log_init("lodge-vmm", LOG_LEVEL_INFO);
	ret = parse(argc, argv, &options);
	if (ret >= 0)
		return ret;
	/* Threads would have an arena of their own each, and we hardly allocate. */
	mallopt(M_ARENA_MAX, 1);
	umask(077);
	raise_descriptor_limit();
	signals = open_signals();
	if (vm_config_load(options.vm, &config, &message) < 0) {
		log_error("%s", message);
		g_free(message);
		return EX_CONFIG;
	}
	runtime = runtime_dir(&options, config);
	ret = run(&options, config, runtime, signals);
	g_free(runtime);
	vm_config_free(config);
	return ret;
}
